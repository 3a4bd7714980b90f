using System.Collections.Immutable;
using Fossil.Analyzers.Attributes;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL035: a language version that generated code cannot be written in.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class LanguageVersionTooOld : ClassRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types)
    {
        if (!AdaptedClassParser.IsAnnotated(type, types) || type.Locations is not [{ SourceTree: { } tree } location, ..]) return;
        if (!GenerationRequirements.IsSupported(tree.Options)) context.ReportDiagnostic(Diagnostic.Create(Descriptor, location, type.Name));
    }
}
