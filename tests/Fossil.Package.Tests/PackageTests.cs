namespace Fossil.Package.Tests;

/// <summary>The packed package, used as a user uses it: a new project, the package, TorchSharp-cpu, and no other setting.</summary>
public class PackageTests(LocalFeed feed) : IClassFixture<LocalFeed>
{
    [Fact]
    public async Task AnnotatedModelTrainsInAFreshProject()
    {
        var project = feed.CreateProject("TrainsTenSteps.cs", "Fossil.Gen");
        var (code, output) = await LocalFeed.Build(project);
        Assert.True(code == 0, output);
        Assert.DoesNotContain("warning FOSSIL", output);

        (code, output) = await Dotnet.Run(project, "run", "--no-build");
        Assert.True(code == 0, output);
        Assert.Contains("the loss fell: True", output);
        Assert.Contains("the calls were rewired: True", output);
        Assert.Contains("merged equals adapted: True", output);
        Assert.True(File.Exists(Path.Combine(project, "adapter", "adapter_model.safetensors")), output);
    }

    [Fact]
    public async Task AParquetFileIsLearnedFromInAFreshProject()
    {
        var project = feed.CreateProject("ReadsParquet.cs", "Fossil.Gen.Data");
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Consumers", "rows.parquet"), Path.Combine(project, "rows.parquet"));
        var (code, output) = await LocalFeed.Build(project);
        Assert.True(code == 0, output);
        (code, output) = await Dotnet.Run(project, "run", "--no-build");
        Assert.True(code == 0, output);
        Assert.Contains("[user]2+2?", output);
        Assert.Contains("learned: 4", output);
    }

    [Fact]
    public async Task WrongShardSizeFailsTheBuildWithItsRule()
    {
        var project = feed.CreateProject("WrongShardSize.cs", "Fossil.Gen");
        var (code, output) = await LocalFeed.Build(project);
        Assert.NotEqual(0, code);
        // 100 = 1 * 64 + 36: the rule, the division and the place.
        Assert.Contains("error FOSSIL005", output);
        Assert.Contains("Program.cs(", output);
    }

    [Fact]
    public void PackageHoldsRunTimeCompilerPartsAndBuildTask()
    {
        using var package = System.IO.Compression.ZipFile.OpenRead(Path.Combine(feed.Feed, $"Fossil.Gen.{feed.Version}.nupkg"));
        var files = package.Entries.Select(entry => entry.FullName).ToHashSet();
        Assert.Superset(
            new HashSet<string>
            {
                "lib/net10.0/Fossil.dll", "lib/net10.0/Fossil.xml", "README.md",
                "analyzers/dotnet/cs/Fossil.Generators.dll", "analyzers/dotnet/cs/Fossil.Analyzers.dll",
                "analyzers/dotnet/cs/Fossil.CodeFixes.dll", "analyzers/dotnet/cs/Fossil.CodeModel.dll",
                "buildTransitive/net10.0/Fossil.Gen.props", "buildTransitive/net10.0/Fossil.Gen.targets", "tools/netstandard2.0/Fossil.Build.dll",
            },
            files);
    }
}
