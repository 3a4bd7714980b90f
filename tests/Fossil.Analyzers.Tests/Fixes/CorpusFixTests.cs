using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.Analyzers.Tests.Fixes;

/// <summary>The fixes on the programs in <c>Corpus</c>: what comes out compiles.</summary>
public class CorpusFixTests
{
    /// <summary>Reports of one rule in one program whose fixes are tried.</summary>
    private const int MaxReports = 4;

    public static TheoryData<string> Programs => CorpusTests.Programs;

    [Theory]
    [MemberData(nameof(Programs))]
    public async Task What_a_fix_makes_compiles(string program)
    {
        using var workspace = new AdhocWorkspace();
        var document = EveryFixTests.AddProject(workspace, "Program", await File.ReadAllTextAsync(Path.Combine(CorpusTests.Folder, program)));
        var kind = document.Project.CompilationOptions!.WithOutputKind(OutputKind.ConsoleApplication);
        var isProgram = (await document.GetSyntaxRootAsync())!.ChildNodes().Any(node => node.IsKind(SyntaxKind.GlobalStatement));
        document = document.Project.WithCompilationOptions(isProgram ? kind : ((CSharpCompilationOptions)document.Project.CompilationOptions!).WithAllowUnsafe(true)).GetDocument(document.Id)!;
        foreach (var analyzer in RuleDocumentationTests.Analyzers)
        {
            foreach (var rule in analyzer.SupportedDiagnostics.Select(rule => rule.Id).Where(EveryFixTests.Fixes.ContainsKey).Distinct())
            {
                foreach (var report in (await EveryFixTests.ReportsOf(document.Project, analyzer, rule)).Take(MaxReports))
                {
                    foreach (var action in await EveryFixTests.Offered(document, EveryFixTests.Fixes[rule], report))
                    {
                        var changed = (await EveryFixTests.Apply(action)).GetDocument(document.Id)!;
                        var errors = (await changed.Project.GetCompilationAsync())!.GetDiagnostics().Where(one => one.Severity == DiagnosticSeverity.Error);
                        Assert.True(!errors.Any(), $"{report}\n{action.Title}\n{string.Join("\n", errors)}");
                    }
                }
            }
        }
    }
}
