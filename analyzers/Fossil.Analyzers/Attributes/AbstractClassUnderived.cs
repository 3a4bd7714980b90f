using System.Collections.Immutable;
using Fossil.Analyzers.Uses;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL023: an abstract annotated class that nothing derives from.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class AbstractClassUnderived : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        var derived = new DerivedClasses(context.Compilation);
        context.RegisterSymbolAction(
            symbol =>
            {
                var type = (INamedTypeSymbol)symbol.Symbol;
                if (!type.IsAbstract || type.IsStatic || !AdaptedClassParser.IsAnnotated(type, types) || derived.Has(type, symbol.CancellationToken)) return;
                symbol.ReportDiagnostic(Diagnostic.Create(Descriptor, type.Locations.FirstOrDefault(), type.Name));
            },
            SymbolKind.NamedType);
    }
}
