using System.Collections.Immutable;
using Fossil.Analyzers.Uses;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL023: an abstract annotated class that nothing derives from.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class AbstractClassUnderived : DiagnosticAnalyzer
{
    internal const string Id = "FOSSIL023";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Annotated class is abstract and has no derived class",
        "Class '{0}' is marked [FossilAdapt] but is abstract, and no class of the project derives from it, so that nothing is adapted: annotate the classes that are constructed",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "Targets of an abstract class are adapted in the objects of its derived classes. A library whose users derive can switch the rule off.");

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
