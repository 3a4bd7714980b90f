namespace Fossil.Package.Tests;

/// <summary>A model in a C# library whose layers an F# program runs.</summary>
public class OtherLanguagesTests(LocalFeed feed) : IClassFixture<LocalFeed>
{
    private const string Warning = "warning FOSSILBUILD003";

    [Fact]
    public async Task CallAppliesAdaptersInFSharpAndTheBuildWarnsOfForward()
    {
        var library = feed.CreateProject("TwoLayers.cs", "Fossil.Gen");
        LocalFeed.Change(library, "<PropertyGroup><OutputType>Library</OutputType></PropertyGroup>");
        var project = feed.CreateProject("RunsLayers.fs", "Fossil.Gen");
        File.Move(Path.Combine(project, "Program.cs"), Path.Combine(project, "Program.fs"));
        LocalFeed.Change(project, $"""<ItemGroup><Compile Include="Program.fs" /><ProjectReference Include="{Path.Combine(library, "Consumer.csproj")}" /></ItemGroup><PropertyGroup><AssemblyName>Runs</AssemblyName></PropertyGroup>""");
        File.Move(Path.Combine(project, "Consumer.csproj"), Path.Combine(project, "Runs.fsproj"));

        var (code, output) = await LocalFeed.Build(project);
        Assert.True(code == 0, output);
        Assert.Single(output.Split('\n').Where(line => line.Contains(Warning, StringComparison.Ordinal)).Select(line => line.Trim()).Distinct());

        (code, output) = await Dotnet.Run(project, "run", "--no-build");
        Assert.True(code == 0, output);
        Assert.Contains("the model is adapted: True", output);
        Assert.Contains("call is adapted: True", output);
        Assert.Contains("call in a Sequential is adapted: True", output);
        Assert.Contains("forward is adapted: False", output);
    }
}
