namespace Fossil.Package.Tests;

/// <summary>Generated files that a project writes into its own folder, to look at them or to commit them.</summary>
public class EmittedFilesTests(LocalFeed feed) : IClassFixture<LocalFeed>
{
    private const string Start = "<PropertyGroup>";

    [Theory]
    [InlineData("Generated", "folder")]
    [InlineData("my files/generated", "folders")]
    [InlineData(".", "project")]
    public async Task AreNotCompiledByTheNextBuild(string path, string name)
    {
        var project = feed.CreateProjectOf(Path.Combine(AppContext.BaseDirectory, "Consumers", "TrainsTenSteps.cs"), $"Emits into {name}", "Fossil.Gen");
        var file = Path.Combine(project, "Consumer.csproj");
        var plain = await File.ReadAllTextAsync(file);
        await File.WriteAllTextAsync(file, plain.Replace(
            Start, $"{Start}<EmitCompilerGeneratedFiles>true</EmitCompilerGeneratedFiles><CompilerGeneratedFilesOutputPath>{path}</CompilerGeneratedFilesOutputPath>"));

        await Compile();
        var emitted = Directory.GetFiles(Path.Combine(project, path, "Fossil.Generators"), "*.cs", SearchOption.AllDirectories).Select(Path.GetFileName).ToList();
        Assert.Contains("Program.Interceptors.g.cs", emitted);
        Assert.Contains(emitted, generated => generated!.EndsWith(".Fossil.g.cs", StringComparison.Ordinal));
        Assert.Contains(emitted, generated => generated!.StartsWith("ShardKernels", StringComparison.Ordinal));

        await Compile();
        // An edit moves every call, and then the setting goes while the files stay.
        await File.AppendAllTextAsync(Path.Combine(project, "Program.cs"), "\n// edited\n");
        await Compile();
        await File.WriteAllTextAsync(file, plain);
        await Compile();

        async Task Compile()
        {
            var (code, output) = await Dotnet.Run(project, "msbuild", "-restore", "-t:Compile", "-p:BuildingProject=true", "-nodeReuse:false", "-p:UseSharedCompilation=false");
            Assert.True(code == 0, output);
            Assert.DoesNotContain("warning", output);
        }
    }
}
