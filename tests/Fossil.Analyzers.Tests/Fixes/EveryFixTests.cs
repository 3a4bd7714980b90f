using System.Collections.Immutable;
using Fossil.Analyzers.Tests.Support;
using Fossil.CodeFixes;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeActions;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Analyzers.Tests.Fixes;

/// <summary>
/// Each fix, on programs written in many ways: what comes out compiles, keeps every comment and directive and the file's line ends, and "fix all" leaves no
/// report of the rule.
/// </summary>
public class EveryFixTests
{
    private static readonly IReadOnlyDictionary<string, Func<string, string>> Ways = new Dictionary<string, Func<string, string>>
    {
        ["as it is"] = source => source,
        ["CRLF"] = source => source.ReplaceLineEndings("\r\n"),
        ["tabs"] = source => source.Replace("    ", "\t", StringComparison.Ordinal),
        ["block namespace"] = source => $"namespace A.B\n{{\n{source}\n}}\n",
        ["file-scoped namespace"] = source => $"namespace A.B;\n\n{source}",
        ["nested"] = source => $"public static partial class Around\n{{\n{source}\n}}\n",
        ["directives"] = source => $"#nullable enable\n#if true\n#region all\n{source}\n#endregion\n#else\nnot C#\n#endif\n",
        ["a comment at each token"] = source => AtEachToken(source, index => [SyntaxFactory.Comment($"/*{index}*/")]),
        ["a line comment at each token"] = source => AtEachToken(source, index => [SyntaxFactory.Comment($"//{index}"), SyntaxFactory.LineFeed]),
    };

    internal static readonly IReadOnlyDictionary<string, CodeFixProvider> Fixes = typeof(AddPartialFix).Assembly.GetTypes()
        .Where(type => !type.IsAbstract && type.IsSubclassOf(typeof(CodeFixProvider))).Select(type => (CodeFixProvider)Activator.CreateInstance(type)!)
        .SelectMany(fix => fix.FixableDiagnosticIds.Select(id => (id, fix))).ToDictionary(one => one.id, one => one.fix);

    public static TheoryData<string> Programs => [.. FixedPrograms.All.Select(program => $"{program.Rule}: {program.Name}")];

    [Fact]
    public void Each_fix_has_a_program() => Assert.Equal(Fixes.Keys.Order(StringComparer.Ordinal), FixedPrograms.All.Select(program => program.Rule).Distinct());

    [Theory]
    [MemberData(nameof(Programs))]
    public async Task What_a_fix_makes_compiles_and_keeps_comments(string program)
    {
        var (rule, _, source) = FixedPrograms.All.First(one => $"{one.Rule}: {one.Name}" == program);
        foreach (var (way, write) in Ways)
        {
            // Attributes of the assembly stand before all else.
            if (source.StartsWith("[assembly:", StringComparison.Ordinal) && way is ("nested" or "block namespace" or "file-scoped namespace")) continue;
            try
            {
                await Check(rule, write(source), isPlain: way == "as it is");
            }
            catch (Exception wrong) when (wrong is not OutOfMemoryException)
            {
                throw new Xunit.Sdk.XunitException($"{program}, {way}: {wrong}");
            }
        }
    }

    private static async Task Check(string rule, string source, bool isPlain)
    {
        using var workspace = new AdhocWorkspace();
        var document = AddProject(workspace, "Program", source);
        var fix = Fixes[rule];
        var analyzer = RuleDocumentationTests.Analyzers.First(one => one.SupportedDiagnostics.Any(supported => supported.Id == rule));
        var reports = await ReportsOf(document.Project, analyzer, rule);
        Assert.NotEmpty(reports);
        var keys = new HashSet<string>();
        foreach (var report in reports)
        {
            foreach (var action in await Offered(document, fix, report))
            {
                // One change of each kind; in the plain program, each.
                if (!keys.Add(action.EquivalenceKey!) && !isPlain) continue;
                var changed = await Apply(action);
                var fewer = await CheckResult(document, changed.GetDocument(document.Id)!, analyzer, rule);
                Assert.True(fewer < reports.Length, $"'{action.Title}' left every report.");
            }
        }
        Assert.NotEmpty(keys);

        FixAllScope[] scopes = isPlain ? [FixAllScope.Document, FixAllScope.Project, FixAllScope.Solution] : [FixAllScope.Project];
        foreach (var scope in scopes)
        {
            var left = new List<int>();
            foreach (var key in keys)
            {
                var context = new FixAllContext(document, fix, scope, key, [rule], new Reports(analyzer, rule), default);
                var action = await fix.GetFixAllProvider()!.GetFixAsync(context);
                var changed = await Apply(action!);
                left.Add(await CheckResult(document, changed.GetDocument(document.Id)!, analyzer, rule));
            }
            Assert.True(left.Min() == 0, $"Fix all in the {scope} left {string.Join(", ", left)} reports.");
        }
    }

    internal static Document AddProject(AdhocWorkspace workspace, string name, string source)
    {
        var options = new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable);
        var project = workspace.AddProject(ProjectInfo.Create(
            ProjectId.CreateNewId(), VersionStamp.Create(), name, name, LanguageNames.CSharp, compilationOptions: options,
            parseOptions: new CSharpParseOptions(LanguageVersion.CSharp14), metadataReferences: References.All));
        workspace.AddDocument(project.Id, "Usings.cs", SourceText.From(Verify.Usings + CorpusTests.MoreUsings));
        return workspace.AddDocument(project.Id, "Program.cs", SourceText.From(source));
    }

    internal static async Task<ImmutableArray<Diagnostic>> ReportsOf(Project project, DiagnosticAnalyzer analyzer, string rule)
    {
        var compilation = await project.GetCompilationAsync();
        var reports = await compilation!.WithAnalyzers([analyzer], new AnalyzerOptions([])).GetAnalyzerDiagnosticsAsync();
        return [.. reports.Where(report => report.Id == rule).OrderBy(report => report.Location.SourceSpan)];
    }

    internal static async Task<List<CodeAction>> Offered(Document document, CodeFixProvider fix, Diagnostic report)
    {
        var actions = new List<CodeAction>();
        await fix.RegisterCodeFixesAsync(new CodeFixContext(document, report, (action, _) => actions.Add(action), default));
        return actions;
    }

    internal static async Task<Solution> Apply(CodeAction action)
    {
        var operations = await action.GetOperationsAsync(default);
        return operations.OfType<ApplyChangesOperation>().Single().ChangedSolution;
    }

    /// <summary>The number of reports left.</summary>
    private static async Task<int> CheckResult(Document before, Document after, DiagnosticAnalyzer analyzer, string rule)
    {
        var (old, changed) = ((await before.GetTextAsync()).ToString(), (await after.GetTextAsync()).ToString());
        var errors = (await after.Project.GetCompilationAsync())!.GetDiagnostics().Where(one => one.Severity == DiagnosticSeverity.Error);
        Assert.True(!errors.Any(), $"{string.Join("\n", errors)}\n{changed}");
        var lost = Kept(old).Except(Kept(changed)).Select(one => one.Text);
        Assert.True(!lost.Any(), $"Lost: {string.Join(" ", lost)}\n{changed}");
        var mixed = old.Contains('\r', StringComparison.Ordinal) && changed.Replace("\r\n", "", StringComparison.Ordinal).Contains('\n', StringComparison.Ordinal);
        Assert.False(mixed, "The line ends are mixed.");
        if (old.Contains("\n\t", StringComparison.Ordinal)) Assert.DoesNotContain("\n    ", changed, StringComparison.Ordinal);
        return (await ReportsOf(after.Project, analyzer, rule)).Length;
    }

    /// <summary>The comments and directives of a text, each with the number of its like before it.</summary>
    private static IEnumerable<(string Text, int Number)> Kept(string source) => CSharpSyntaxTree.ParseText(source).GetRoot().DescendantTrivia()
        .Where(trivia => trivia.IsDirective || trivia.ToString().StartsWith('/')).Select(trivia => trivia.ToString().Trim())
        .GroupBy(text => text).SelectMany(group => group.Select((text, index) => (text, index)));

    private static string AtEachToken(string source, Func<int, SyntaxTrivia[]> comment)
    {
        var root = CSharpSyntaxTree.ParseText(source).GetRoot();
        var tokens = root.DescendantTokens().Where(token => token.Parent?.FirstAncestorOrSelf<InterpolatedStringExpressionSyntax>() is null).ToList();
        var numbers = tokens.Select((token, index) => (token, index)).ToDictionary(one => one.token, one => one.index);
        return root.ReplaceTokens(tokens, (token, _) => token.WithLeadingTrivia(token.LeadingTrivia.AddRange(comment(numbers[token])))).ToFullString();
    }

    private sealed class Reports(DiagnosticAnalyzer analyzer, string rule) : FixAllContext.DiagnosticProvider
    {
        public override async Task<IEnumerable<Diagnostic>> GetAllDiagnosticsAsync(Project project, CancellationToken cancellationToken) => await ReportsOf(project, analyzer, rule);

        public override async Task<IEnumerable<Diagnostic>> GetDocumentDiagnosticsAsync(Document document, CancellationToken cancellationToken)
        {
            var tree = await document.GetSyntaxTreeAsync(cancellationToken);
            return (await ReportsOf(document.Project, analyzer, rule)).Where(report => report.Location.SourceTree == tree);
        }

        public override Task<IEnumerable<Diagnostic>> GetProjectDiagnosticsAsync(Project project, CancellationToken cancellationToken) => Task.FromResult<IEnumerable<Diagnostic>>([]);
    }
}
