using System.Collections.Immutable;
using Fossil.Analyzers.Attributes;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL035: a language version that generated code cannot be written in.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class LanguageVersionTooOld : ClassRule
{
    internal const string Id = "FOSSIL035";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Language version is too old",
        "Class '{0}' is marked [FossilAdapt], but the project's C# version is older than 11, which the generated code needs: set LangVersion to 11 or later, or remove it",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Error,
        "Interceptors are file-local types, which came with C# 11. The .NET 10 SDK uses C# 14 where a project does not ask for another.");

    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types)
    {
        if (!AdaptedClassParser.IsAnnotated(type, types) || type.Locations is not [{ SourceTree: { } tree } location, ..]) return;
        if (!GenerationRequirements.IsSupported(tree.Options)) context.ReportDiagnostic(Diagnostic.Create(Descriptor, location, type.Name));
    }
}
