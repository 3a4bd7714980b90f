using System.Text.Json.Nodes;
using Fossil.Build;

namespace Fossil.Package.Tests;

/// <summary>The packed packages in the forms that .NET publishes: file-based, trimmed, in one file, for other frameworks.</summary>
public class PublishTests(LocalFeed feed) : IClassFixture<LocalFeed>
{
    private static readonly string QuickStart = Path.Combine(LocalFeed.RepositoryRoot, "samples", "QuickStart", "Program.cs");

    [Fact]
    public async Task TheReadmesProgramRunsFromOneFile()
    {
        var folder = feed.CreateFileBasedProgram(QuickStart, "FileBased", "Fossil.Gen");
        var (code, output) = await Dotnet.Run(folder, "run", "app.cs");
        AssertTrainedAndSaved(folder, code, output);
        // Its output lies in the user's folder of such programs.
        (code, output) = await Dotnet.Run(folder, "clean", "app.cs");
        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task TheReadmesProgramRunsTrimmed()
    {
        var project = feed.CreateProjectOf(QuickStart, "Trimmed", "Fossil.Gen");
        var (code, output) = await PublishTrimmed(project);
        Assert.True(code == 0, output);
        AssertNoTrimWarning(output);
        (code, output) = await RunPublished(project);
        AssertTrainedAndSaved(project, code, output);
    }

    [Fact]
    public async Task EveryFileIsWrittenAndReadByATrimmedProgram()
    {
        var project = feed.CreateProject("WritesEveryFile.cs", "Fossil.Gen", "Fossil.Gen.Models");
        var (code, output) = await PublishTrimmed(project);
        Assert.True(code == 0, output);
        AssertNoTrimWarning(output);
        (code, output) = await RunPublished(project);
        Assert.True(code == 0, output);
        Assert.Equal(["resumed: True", "configuration: True", "adapter: True", "folder: True", "GGUF: True", "tokenizer: True"], output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WhatIsBundledForLinuxIsRelaxedUnlessSwitchedOff(bool relaxed)
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "TorchSharp-cpu brings the library of this machine's system only.");
        var project = feed.CreateProjectOf(QuickStart, $"Bundled{relaxed}", "Fossil.Gen");
        string[] options = ["-p:UseCurrentRuntimeIdentifier=true", "-p:PublishSingleFile=true", "-p:IncludeNativeLibrariesForSelfExtract=true", $"-p:FossilRelaxGlibcxx={relaxed}"];
        var (code, output) = await Dotnet.Run(project, ["restore", .. options]);
        Assert.True(code == 0, output);
        // The list that the bundler gets: a bundle itself would be a copy of libtorch.
        (code, output) = await Dotnet.Run(project, ["msbuild", "-t:ComputeResolvedFilesToPublishList;PrepareForBundle", "-getItem:FilesToBundle", .. options]);
        Assert.True(code == 0, output);
        var bundled = JsonNode.Parse(output)!["Items"]!["FilesToBundle"]!.AsArray().Where(file => (string?)file!["Filename"] == "libLibTorchSharp");
        var library = Assert.Single(bundled)!;
        Assert.Equal("libLibTorchSharp.so", (string?)library["RelativePath"]);
        var elf = new ElfVersionNeeds(File.ReadAllBytes((string)library["FullPath"]!));
        var needs = elf.Needs.Where(need => need.Name == "GLIBCXX_3.4.32").ToList();
        Assert.NotEmpty(needs);
        Assert.All(needs, need => Assert.Equal(relaxed, elf.IsWeak(need.Entry)));
    }

    [Fact]
    public async Task NativeAotIsOneErrorThatSaysWhy()
    {
        var project = feed.CreateProjectOf(QuickStart, "NativeAot", "Fossil.Gen");
        var (code, output) = await LocalFeed.Publish(project, "-p:PublishAot=true", "-consoleLoggerParameters:NoSummary");
        Assert.NotEqual(0, code);
        var error = Assert.Single(output.Split('\n'), line => line.Contains("error", StringComparison.Ordinal));
        Assert.Contains("FOSSILBUILD002", error);
        Assert.Contains("would have no parameters", error);
    }

    [Theory]
    [InlineData("net8.0")]
    [InlineData("net9.0")]
    [InlineData("netstandard2.0")]
    public async Task AnOlderFrameworkIsRefusedAtRestore(string framework)
    {
        var project = feed.CreateProjectOf(QuickStart, framework, "Fossil.Gen");
        var (code, output) = await Dotnet.Run(project, "restore", $"-p:TargetFramework={framework}");
        Assert.NotEqual(0, code);
        Assert.Contains("error NU1202: Package Fossil.Gen", output);
        Assert.Contains("supports: net10.0", output);
    }

    private static Task<(int ExitCode, string Output)> PublishTrimmed(string project)
    {
        // TorchSharp finds a model's layers by reflection over its fields.
        LocalFeed.Change(project, """<ItemGroup><TrimmerRootAssembly Include="$(AssemblyName)" /></ItemGroup>""");
        return LocalFeed.Publish(project, "-p:PublishTrimmed=true");
    }

    private static Task<(int ExitCode, string Output)> RunPublished(string project) => Dotnet.RunProgram(Path.Combine(project, "out", "Consumer"), project);

    private static void AssertNoTrimWarning(string output) =>
        Assert.DoesNotContain(output.Split('\n'), line => line.Contains("warning IL", StringComparison.Ordinal) && line.Contains("Fossil", StringComparison.Ordinal));

    private static void AssertTrainedAndSaved(string folder, int code, string output)
    {
        Assert.True(code == 0, output);
        Assert.Contains("step 50: loss 0.0", output);
        foreach (var file in new[] { "adapter_config.json", "adapter_model.safetensors" }) Assert.True(File.Exists(Path.Combine(folder, "adapter", file)), $"{file}: {output}");
    }
}
