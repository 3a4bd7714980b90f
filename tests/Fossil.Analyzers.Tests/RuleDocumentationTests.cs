using System.Collections.Immutable;
using System.Reflection;
using Fossil.Analyzers.Attributes;
using Fossil.CodeFixes;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Tests;

/// <summary>The index, the pages and the release table say what the descriptors say.</summary>
public class RuleDocumentationTests
{
    private static readonly string Root = typeof(RuleDocumentationTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(one => one.Key == "RepositoryRoot").Value!;
    internal static readonly string Pages = Path.Combine(Root, "docs", "rules");

    internal static ImmutableArray<DiagnosticAnalyzer> Analyzers { get; } =
        [.. typeof(AdaptAttributeAnalyzer).Assembly.GetTypes().Where(type => !type.IsAbstract && type.IsSubclassOf(typeof(DiagnosticAnalyzer))).Select(type => (DiagnosticAnalyzer)Activator.CreateInstance(type)!)];

    private static IReadOnlyList<DiagnosticDescriptor> Rules { get; } =
        [.. Analyzers.SelectMany(analyzer => analyzer.SupportedDiagnostics).GroupBy(rule => rule.Id).Select(group => group.First()).OrderBy(rule => rule.Id, StringComparer.Ordinal)];

    private static HashSet<string> Fixable { get; } =
        [.. typeof(AddPartialFix).Assembly.GetTypes().Where(type => !type.IsAbstract && type.IsSubclassOf(typeof(CodeFixProvider))).SelectMany(type => ((CodeFixProvider)Activator.CreateInstance(type)!).FixableDiagnosticIds)];

    private static string Severity(DiagnosticDescriptor rule) => rule.DefaultSeverity == DiagnosticSeverity.Hidden ? "note" : rule.DefaultSeverity.ToString().ToLowerInvariant();

    public static TheoryData<string> Ids => [.. Rules.Select(rule => rule.Id)];

    [Fact]
    public void The_index_lists_each_rule()
    {
        var rows = File.ReadAllLines(Path.Combine(Pages, "README.md")).Where(line => line.StartsWith("| [FOSSIL", StringComparison.Ordinal));
        Assert.Equal(Rules.Select(rule => $"| [{rule.Id}]({rule.Id}.md) | {rule.Title} | {rule.Category} | {Severity(rule)} | {(Fixable.Contains(rule.Id) ? "yes" : "")} |"), rows);
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void Each_rule_has_a_page_with_wrong_and_right_code(string id)
    {
        var rule = Rules.First(candidate => candidate.Id == id);
        var page = File.ReadAllText(Path.Combine(Pages, id + ".md"));
        Assert.StartsWith($"# {id}: {rule.Title}\n", page, StringComparison.Ordinal);
        Assert.Contains($"Category {rule.Category}, severity {(rule.DefaultSeverity == DiagnosticSeverity.Hidden ? "note (hidden)" : Severity(rule))}.", page, StringComparison.Ordinal);
        Assert.Contains("## Wrong", page, StringComparison.Ordinal);
        Assert.Contains("## Right", page, StringComparison.Ordinal);
        Assert.EndsWith($"docs/rules/{id}.md", rule.HelpLinkUri, StringComparison.Ordinal);
    }

    [Fact]
    public void The_release_table_lists_each_rule()
    {
        var rows = File.ReadAllLines(Path.Combine(Root, "analyzers", "Fossil.Analyzers", "AnalyzerReleases.Unshipped.md")).Where(line => line.StartsWith("FOSSIL", StringComparison.Ordinal));
        Assert.Equal(Rules.Select(rule => $"{rule.Id} | {rule.Category} | {rule.DefaultSeverity} | [{rule.Title}](../../docs/rules/{rule.Id}.md)"), rows);
    }

    [Fact]
    public void No_page_is_without_a_rule() => Assert.Equal(
        Rules.Select(rule => rule.Id), Directory.GetFiles(Pages, "FOSSIL*.md").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));

    [Fact]
    public void Fixes_are_for_rules_that_exist() => Assert.Subset(Rules.Select(rule => rule.Id).ToHashSet(), Fixable);
}
