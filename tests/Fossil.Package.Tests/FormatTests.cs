using System.Text.RegularExpressions;

namespace Fossil.Package.Tests;

/// <summary><c>dotnet format analyzers</c>, which applies all fixes of all rules in one run, in an order that nobody chooses.</summary>
public partial class FormatTests(LocalFeed feed) : IClassFixture<LocalFeed>
{
    private const string Program = "EveryFix.cs";

    [Fact]
    public async Task AppliesEveryFixInOneRun()
    {
        var source = await File.ReadAllLinesAsync(Path.Combine(AppContext.BaseDirectory, "Consumers", Program));
        var expected = source.SelectMany((line, index) => Mark().Matches(line).Select(mark => (Line: index + 1, Id: mark.Groups[1].Value))).ToHashSet();
        Assert.Superset(Fixable(), expected.Select(mark => mark.Id).ToHashSet());
        var project = feed.CreateProject(Program, "Fossil.Gen");

        var (_, output) = await Compile(project);
        Assert.Equal(expected.Order(), Report().Matches(output).Select(report => (int.Parse(report.Groups[1].Value), report.Groups[2].Value)).Distinct().Order());

        (var code, output) = await Dotnet.Run(project, "format", "analyzers", "--no-restore", "--severity", "warn");
        Assert.True(code == 0, output);
        (code, output) = await Compile(project);
        Assert.True(code == 0, output);
        Assert.DoesNotContain("FOSSIL", output, StringComparison.Ordinal);

        // Lines that name no rule stay as they are; each RegisterComponents() is a line more.
        var changed = await File.ReadAllLinesAsync(Path.Combine(project, "Program.cs"));
        Assert.Empty(source.Where(line => !line.Contains("FOSSIL", StringComparison.Ordinal)).Except(changed));
        Assert.Equal(source.Length + 2, changed.Length);
    }

    /// <summary>The rules of which the index says that they have a fix.</summary>
    private static HashSet<string> Fixable() =>
        [.. File.ReadLines(Path.Combine(LocalFeed.RepositoryRoot, "docs", "rules", "README.md")).Where(line => line.EndsWith("| yes |", StringComparison.Ordinal)).Select(line => Rule().Match(line).Value)];

    private static Task<(int ExitCode, string Output)> Compile(string project) =>
        Dotnet.Run(project, "msbuild", "-restore", "-t:Compile", "-p:BuildingProject=true", "-nodeReuse:false", "-p:UseSharedCompilation=false");

    [GeneratedRegex(@"//! (FOSSIL\d{3})")]
    private static partial Regex Mark();

    [GeneratedRegex(@"FOSSIL\d{3}")]
    private static partial Regex Rule();

    [GeneratedRegex(@"Program\.cs\((\d+),\d+\): \w+ (FOSSIL\d{3})")]
    private static partial Regex Report();
}
