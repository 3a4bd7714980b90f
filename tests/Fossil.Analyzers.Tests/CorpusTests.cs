using System.Reflection;
using System.Text.RegularExpressions;
using Fossil.Analyzers.Tests.Support;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Tests;

/// <summary>
/// Every analyzer over the programs in <c>Corpus</c>. A line that ends in <c>//! FOSSIL005</c> must be reported by that rule; no other line may be
/// reported by any.
/// </summary>
public partial class CorpusTests
{
    internal static readonly string Folder = Path.Combine(
        typeof(CorpusTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(one => one.Key == "RepositoryRoot").Value!, "tests", "Fossil.Analyzers.Tests", "Corpus");

    internal const string MoreUsings = "global using System.IO; global using System.Threading; global using System.Threading.Tasks;";

    public static TheoryData<string> Programs => [.. Directory.GetFiles(Folder, "*.cs").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Programs))]
    public async Task The_marked_lines_are_reported_and_no_others(string program)
    {
        var source = await File.ReadAllTextAsync(Path.Combine(Folder, program));
        var options = new CSharpParseOptions(LanguageVersion.CSharp14).WithFeatures([KeyValuePair.Create("InterceptorsNamespaces", "Fossil.Generated")]);
        SyntaxTree[] trees = [CSharpSyntaxTree.ParseText(source, options, program), CSharpSyntaxTree.ParseText(Verify.Usings + MoreUsings, options, "Usings.cs")];
        var kind = trees[0].GetCompilationUnitRoot().Members.Any(SyntaxKind.GlobalStatement) ? OutputKind.ConsoleApplication : OutputKind.DynamicallyLinkedLibrary;
        var compilation = CSharpCompilation.Create(
            "Program", trees, References.All, new CSharpCompilationOptions(kind, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable));
        Assert.Empty(compilation.GetDiagnostics().Where(one => one.Severity == DiagnosticSeverity.Error));

        var reports = await compilation.WithAnalyzers(RuleDocumentationTests.Analyzers, new AnalyzerOptions([])).GetAnalyzerDiagnosticsAsync();

        var lines = source.Split('\n');
        var expected = lines.SelectMany((line, number) => Marks().Matches(line).Select(mark => $"{number + 1}: {mark.Groups[1].Value}: {line.Trim()}"));
        var actual = reports.Where(report => report.Severity != DiagnosticSeverity.Hidden)
            .Select(report => (Line: report.Location.GetLineSpan().StartLinePosition.Line, report.Id)).Distinct().OrderBy(report => report)
            .Select(report => $"{report.Line + 1}: {report.Id}: {lines[report.Line].Trim()}");
        Assert.Equal(expected, actual);
    }

    [GeneratedRegex(@"//! (FOSSIL\d+)")]
    private static partial Regex Marks();
}
