using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>A rule that looks at one class at a time.</summary>
public abstract class ClassRule : ProjectRule
{
    private protected sealed override void Start(CompilationStartAnalysisContext context, WellKnownTypes types) =>
        context.RegisterSymbolAction(symbol => Analyze(symbol, (INamedTypeSymbol)symbol.Symbol, types), SymbolKind.NamedType);

    private protected abstract void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types);
}
