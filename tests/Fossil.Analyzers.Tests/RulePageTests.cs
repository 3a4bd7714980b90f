using System.Text.RegularExpressions;
using System.Xml.Linq;
using Fossil.Analyzers.Tests.Support;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Tests;

/// <summary>The code on the page of each rule: the wrong one is reported by that rule alone, the right one by none.</summary>
public partial class RulePageTests
{
    /// <summary>What the statements on the pages use without declaring it.</summary>
    private const string Given = """
        global using static Given;
        public static class Given
        {
            public static readonly Module<Tensor, Tensor> model = Linear(64, 64);
            public static readonly Tensor loss = zeros(1);
            public static void Serve(Module<Tensor, Tensor> served) => served.forward(zeros(1, 64));
        }
        """;

    /// <summary>The compiler reports these too.</summary>
    private static readonly Dictionary<string, string> CompilerErrors = new() { ["FOSSIL012"] = "CS0182" };

    public static TheoryData<string> Ids => RuleDocumentationTests.Ids;

    [Theory]
    [MemberData(nameof(Ids))]
    public async Task The_wrong_code_is_reported_and_the_right_code_is_not(string id)
    {
        var page = await File.ReadAllTextAsync(Path.Combine(RuleDocumentationTests.Pages, id + ".md"));
        var sections = page.Split("\n## ");
        Assert.Equal([id], await ReportedBy(id, Section("Wrong")));
        Assert.Empty(await ReportedBy(id, Section("Right")));

        Match Section(string title) => Code().Match(sections.Single(section => section.StartsWith(title, StringComparison.Ordinal)));
    }

    private static async Task<IEnumerable<string>> ReportedBy(string id, Match block)
    {
        var (version, namespaces, source) = (LanguageVersion.CSharp14, "Fossil.Generated", block.Groups[2].Value);
        if (block.Groups[1].Value == "xml")
        {
            var property = XElement.Parse(source);
            if (property.Name == "LangVersion") Assert.True(LanguageVersionFacts.TryParse(property.Value, out version), property.Value);
            else namespaces = property.Value.Replace("$(InterceptorsNamespaces)", namespaces, StringComparison.Ordinal);
            source = "[FossilAdapt(\"up\")] public partial class Layer : Module<Tensor, Tensor> { private readonly Linear up; … }";
        }
        var options = new CSharpParseOptions(version).WithFeatures([KeyValuePair.Create("InterceptorsNamespaces", namespaces)]);
        // Global usings are newer than what one page is about.
        SyntaxTree[] trees = version < LanguageVersion.CSharp10 ? [Complete(Verify.Usings.Replace("global ", "", StringComparison.Ordinal) + "\n" + source, options)] :
            [Complete(source, options), CSharpSyntaxTree.ParseText(Verify.Usings, options), CSharpSyntaxTree.ParseText(Given, options)];
        var kind = trees[0].GetCompilationUnitRoot().Members.Any(member => member is GlobalStatementSyntax) ? OutputKind.ConsoleApplication : OutputKind.DynamicallyLinkedLibrary;
        var compilation = CSharpCompilation.Create("Page", trees, References.All, new CSharpCompilationOptions(kind, nullableContextOptions: NullableContextOptions.Enable));
        var errors = compilation.GetDiagnostics().Where(one => one.Severity == DiagnosticSeverity.Error && one.Id != CompilerErrors.GetValueOrDefault(id));
        Assert.True(!errors.Any(), $"{string.Join("\n", errors)}\n{trees[0]}");
        var reports = await compilation.WithAnalyzers(RuleDocumentationTests.Analyzers, new AnalyzerOptions([])).GetAnalyzerDiagnosticsAsync();
        return reports.Where(report => report.Severity != DiagnosticSeverity.Hidden || report.Id == id).Select(report => report.Id).Distinct();
    }

    /// <summary>A program out of the code on a page: what "…" leaves out is filled in, and an attribute alone gets a class.</summary>
    private static SyntaxTree Complete(string code, CSharpParseOptions options)
    {
        var root = SyntaxFactory.ParseCompilationUnit(code.Replace("…", "", StringComparison.Ordinal), options: options);
        if (root.Members is [IncompleteMemberSyntax { Type: null } attribute])
        {
            root = SyntaxFactory.ParseCompilationUnit(attribute + "public partial class Attention : Module<Tensor, Tensor> { private readonly Linear q_proj, v_proj; }", options: options);
        }
        root = root.ReplaceNodes(root.DescendantNodes().OfType<ClassDeclarationSyntax>(), (_, type) => Complete(type));
        return CSharpSyntaxTree.Create(root.NormalizeWhitespace(), options, "Page.cs");
    }

    /// <summary>A module with the constructor and <c>forward</c> that every module has.</summary>
    private static ClassDeclarationSyntax Complete(ClassDeclarationSyntax type)
    {
        if (type.BaseList?.Types.ToString() is not { } bases) return type;
        var isModule = bases.Contains("Module<", StringComparison.Ordinal);
        if (isModule && !type.Members.OfType<MethodDeclarationSyntax>().Any(method => method.Identifier.ValueText == "forward"))
        {
            type = type.AddMembers(SyntaxFactory.ParseMemberDeclaration("public override Tensor forward(Tensor x) => x;")!);
        }
        if (!isModule || type.ParameterList is not null || type.Members.OfType<ConstructorDeclarationSyntax>().Any()) return type;
        var made = from field in type.Members.OfType<FieldDeclarationSyntax>()
                   from variable in field.Declaration.Variables
                   where variable.Initializer is null
                   select $"{variable.Identifier} = {(field.Declaration.Type.ToString() == "Linear" ? "Linear(64, 64)" : "new(zeros(1))")};";
        return type.AddMembers(SyntaxFactory.ParseMemberDeclaration($"public {type.Identifier}() : base(\"{type.Identifier}\") {{ {string.Concat(made)} RegisterComponents(); }}")!);
    }

    [GeneratedRegex(@"```(csharp|xml)\n(.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Code();
}
