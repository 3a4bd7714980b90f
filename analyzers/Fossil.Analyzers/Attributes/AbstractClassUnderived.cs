using System.Collections.Immutable;
using Fossil.Analyzers.Uses;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL023: an abstract annotated class that nothing derives from.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class AbstractClassUnderived : DiagnosticAnalyzer
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (WellKnownTypes.From(start.Compilation) is not { } types) return;
            var derived = new DerivedClasses(start.Compilation);
            start.RegisterSymbolAction(
                symbol =>
                {
                    var type = (INamedTypeSymbol)symbol.Symbol;
                    if (!type.IsAbstract || type.IsStatic || !AdaptedClassParser.IsAnnotated(type, types) || derived.Has(type, symbol.CancellationToken)) return;
                    symbol.ReportDiagnostic(Diagnostic.Create(Descriptor, type.Locations.FirstOrDefault(), type.Name));
                },
                SymbolKind.NamedType);
        });
    }
}
