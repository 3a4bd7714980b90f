using System.Reflection;

namespace Fossil.Package.Tests;

/// <summary>
/// The packages of this build in a folder feed, and fresh projects that use them. The version is new in each run, also where several run at once: a
/// package cache never answers with another build.
/// </summary>
public sealed class LocalFeed : IAsyncLifetime
{
    private static readonly string[] Packages = ["Fossil", "Fossil.Models", "Fossil.Data"];

    // Linked, not copied, into the output folder: libtorch has 460 MB.
    private static readonly string[] BuildOptions = ["-p:CreateHardLinksForCopyLocalIfPossible=true", "-p:CreateHardLinksForPublishFilesIfPossible=true", "-p:UseSharedCompilation=false", "-nodeReuse:false"];

    private readonly string root;

    public LocalFeed()
    {
        var run = Guid.NewGuid().ToString("n")[..8];
        root = Path.Combine(Path.GetTempPath(), "fossil-package-tests-" + run);
        Version = $"0.1.0-test{DateTime.UtcNow:yyyyMMddHHmmss}-{run}";
    }

    public static string RepositoryRoot { get; } = Metadata("RepositoryRoot");

    public string Version { get; }

    public string Feed => Path.Combine(root, "feed");

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(Feed);
        foreach (var package in Packages)
        {
            var (code, output) = await Dotnet.Run(
                RepositoryRoot, "pack", Path.Combine("src", package), "--no-build", "-c", Metadata("Configuration"), "-o", Feed, $"-p:Version={Version}");
            Assert.True(code == 0, output);
        }
    }

    /// <summary>A new console project that references the packages and TorchSharp-cpu, with the program that <c>Consumers/</c> has under that name.</summary>
    public string CreateProject(string program, params string[] packages) =>
        CreateProjectOf(Path.Combine(AppContext.BaseDirectory, "Consumers", program), Path.GetFileNameWithoutExtension(program), packages);

    /// <summary>The same with the program at a path.</summary>
    public string CreateProjectOf(string program, string name, params string[] packages)
    {
        var folder = Path.Combine(root, name);
        Directory.CreateDirectory(folder);
        File.Copy(program, Path.Combine(folder, "Program.cs"));
        var references = string.Concat(packages.Select(package => $"""    <PackageReference Include="{package}" Version="{Version}" />{'\n'}"""));
        File.WriteAllText(
            Path.Combine(folder, "Consumer.csproj"),
            $"""
             <Project Sdk="Microsoft.NET.Sdk">
               <PropertyGroup>
                 <OutputType>Exe</OutputType>
                 <TargetFramework>net10.0</TargetFramework>
                 <Nullable>enable</Nullable>
                 <ImplicitUsings>enable</ImplicitUsings>
               </PropertyGroup>
               <ItemGroup>
             {references}    <PackageReference Include="TorchSharp-cpu" Version="0.107.0" />
               </ItemGroup>
             </Project>
             """);
        AddTo(folder);
        return folder;
    }

    /// <summary>
    /// A program of one file, <c>app.cs</c>, with the text at a path, the packages and TorchSharp-cpu. What the folder around it says is only that libtorch is linked.
    /// </summary>
    public string CreateFileBasedProgram(string program, string name, params string[] packages)
    {
        var folder = Path.Combine(root, name);
        Directory.CreateDirectory(folder);
        var references = string.Concat(packages.Select(package => $"#:package {package}@{Version}\n"));
        File.WriteAllText(Path.Combine(folder, "app.cs"), $"{references}#:package TorchSharp-cpu@0.107.0\n{File.ReadAllText(program)}");
        File.WriteAllText(Path.Combine(folder, "Directory.Build.props"), "<Project><PropertyGroup><CreateHardLinksForCopyLocalIfPossible>true</CreateHardLinksForCopyLocalIfPossible></PropertyGroup></Project>");
        AddTo(folder);
        return folder;
    }

    /// <summary>Adds items or properties to a project of <see cref="CreateProject"/>.</summary>
    public static void Change(string project, string xml)
    {
        var file = Path.Combine(project, "Consumer.csproj");
        File.WriteAllText(file, File.ReadAllText(file).Replace("</Project>", $"  {xml}\n</Project>", StringComparison.Ordinal));
    }

    /// <summary>Builds the project.</summary>
    public static Task<(int ExitCode, string Output)> Build(string project) => Dotnet.Run(project, ["build", .. BuildOptions]);

    /// <summary>Publishes the project for this machine into its folder <c>out</c>.</summary>
    public static Task<(int ExitCode, string Output)> Publish(string project, params string[] options) =>
        Dotnet.Run(project, ["publish", "--use-current-runtime", "-o", "out", .. BuildOptions, .. options]);

    /// <summary>Lets a folder restore the packages of this build.</summary>
    private void AddTo(string folder) => File.WriteAllText(
        Path.Combine(folder, "NuGet.config"),
        $"""
         <configuration>
           <packageSources>
             <add key="local" value="{Feed}" />
           </packageSources>
         </configuration>
         """);

    public Task DisposeAsync()
    {
        Directory.Delete(root, recursive: true);
        var cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        foreach (var id in new[] { "fossil.gen", "fossil.gen.models", "fossil.gen.data" })
        {
            var cached = Path.Combine(cache, id, Version);
            if (Directory.Exists(cached)) Directory.Delete(cached, recursive: true);
        }

        return Task.CompletedTask;
    }

    private static string Metadata(string key) =>
        typeof(LocalFeed).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
