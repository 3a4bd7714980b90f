using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL008: a project whose settings keep the generated interceptors out.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class InterceptorsNotEnabled : DiagnosticAnalyzer
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
            if (GenerationRequirements.InterceptorsEnabled(start.Compilation.SyntaxTrees.FirstOrDefault()?.Options, start.Options.AnalyzerConfigOptionsProvider.GlobalOptions)) return;
            var annotated = new List<Location>();
            start.RegisterSymbolAction(
                symbol =>
                {
                    if (symbol.Symbol is not INamedTypeSymbol type || !AdaptedClassParser.IsAnnotated(type, types)) return;
                    lock (annotated) annotated.Add(type.Locations.FirstOrDefault() ?? Location.None);
                },
                SymbolKind.NamedType);
            start.RegisterCompilationEndAction(end =>
            {
                // Once for the project, at its first annotated class.
                var first = annotated
                    .OrderBy(location => location.SourceTree?.FilePath, StringComparer.Ordinal)
                    .ThenBy(location => location.SourceSpan.Start)
                    .FirstOrDefault();
                if (first is not null) end.ReportDiagnostic(Diagnostic.Create(Descriptor, first));
            });
        });
    }
}
