using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>A rule that looks at one class at a time, in projects that know TorchSharp and the annotation.</summary>
public abstract class ClassRule : DiagnosticAnalyzer
{
    /// <inheritdoc/>
    public sealed override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (WellKnownTypes.From(start.Compilation) is { } types) start.RegisterSymbolAction(symbol => Analyze(symbol, (INamedTypeSymbol)symbol.Symbol, types), SymbolKind.NamedType);
        });
    }

    private protected abstract void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types);
}
