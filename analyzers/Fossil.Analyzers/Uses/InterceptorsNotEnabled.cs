using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL008: a project whose settings keep the generated interceptors out.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class InterceptorsNotEnabled : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        if (GenerationRequirements.InterceptorsEnabled(context.Compilation.SyntaxTrees.FirstOrDefault()?.Options, context.Options.AnalyzerConfigOptionsProvider.GlobalOptions)) return;
        var annotated = new List<Location>();
        context.RegisterSymbolAction(
            symbol =>
            {
                if (symbol.Symbol is not INamedTypeSymbol type || !AdaptedClassParser.IsAnnotated(type, types)) return;
                lock (annotated) annotated.Add(type.Locations.FirstOrDefault() ?? Location.None);
            },
            SymbolKind.NamedType);
        context.RegisterCompilationEndAction(end =>
        {
            // Once for the project, at its first annotated class.
            var first = annotated
                .OrderBy(location => location.SourceTree?.FilePath, StringComparer.Ordinal)
                .ThenBy(location => location.SourceSpan.Start)
                .FirstOrDefault();
            if (first is not null) end.ReportDiagnostic(Diagnostic.Create(Descriptor, first));
        });
    }
}
