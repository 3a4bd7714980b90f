using System.Reflection;

namespace Fossil.Package.Tests;

/// <summary>
/// The packages of this build in a folder feed, and fresh projects that use them. The version is new on each run: a package cache never
/// answers with an older build.
/// </summary>
public sealed class LocalFeed : IAsyncLifetime
{
    private static readonly string[] Packages = ["Fossil", "Fossil.Models"];

    private readonly string root = Path.Combine(Path.GetTempPath(), "fossil-package-tests-" + Guid.NewGuid().ToString("n")[..8]);

    public static string RepositoryRoot { get; } = Metadata("RepositoryRoot");

    public string Version { get; } = "0.1.0-test" + DateTime.UtcNow.ToString("yyyyMMddHHmmssfff");

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
        File.WriteAllText(
            Path.Combine(folder, "NuGet.config"),
            $"""
             <configuration>
               <packageSources>
                 <add key="local" value="{Feed}" />
               </packageSources>
             </configuration>
             """);
        return folder;
    }

    /// <summary>Builds the project with libtorch linked, not copied, into its output folder (it has 460 MB).</summary>
    public static Task<(int ExitCode, string Output)> Build(string project) =>
        Dotnet.Run(project, "build", "-p:CreateHardLinksForCopyLocalIfPossible=true", "-p:UseSharedCompilation=false", "-nodeReuse:false");

    public Task DisposeAsync()
    {
        Directory.Delete(root, recursive: true);
        var cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        foreach (var id in new[] { "fossil.gen", "fossil.gen.models" })
        {
            var cached = Path.Combine(cache, id, Version);
            if (Directory.Exists(cached)) Directory.Delete(cached, recursive: true);
        }

        return Task.CompletedTask;
    }

    private static string Metadata(string key) =>
        typeof(LocalFeed).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
