using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Training;

/// <summary>Follows an adapted model through one body and reports steps that come in the wrong order.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class AdaptedModelUseAnalyzer : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } =
    [
        OptimizerOverAllParameters.Descriptor, OptimizerBeforeAttach.Descriptor, MoveAfterOptimizer.Descriptor, AttachInDisposeScope.Descriptor,
        TrainingWhileMerged.Descriptor, WholeModelSaved.Descriptor, AdaptedModelDiscarded.Descriptor, AdaptersGoneOnReturn.Descriptor,
    ];

    private static readonly OperationKind[] Kinds =
    [
        OperationKind.Invocation, OperationKind.ObjectCreation, OperationKind.LocalReference, OperationKind.FieldReference, OperationKind.ParameterReference,
        OperationKind.MethodReference, OperationKind.SimpleAssignment, OperationKind.VariableDeclarator,
    ];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes wellKnown)
    {
        if (TrainingTypes.From(context.Compilation, wellKnown) is not { } types) return;
        context.RegisterOperationBlockStartAction(block => Collect(block, new BlockEvents(types, block.OwningSymbol)));
        context.RegisterSymbolStartAction(symbol => CollectClass(symbol, types), SymbolKind.NamedType);
    }

    private static void Collect(OperationBlockStartAnalysisContext block, BlockEvents events)
    {
        block.RegisterOperationAction(operation => events.Visit(operation.Operation), Kinds);
        block.RegisterOperationBlockEndAction(end => Check(events, end.ReportDiagnostic));
    }

    /// <summary>What the constructor of a class attaches is there in its methods.</summary>
    private static void CollectClass(SymbolStartAnalysisContext symbol, TrainingTypes types)
    {
        if (!ClassEvents.IsKeeper((INamedTypeSymbol)symbol.Symbol, types)) return;
        var bodies = new ClassEvents((INamedTypeSymbol)symbol.Symbol, types);
        symbol.RegisterOperationBlockStartAction(block =>
        {
            if (bodies.Add(block.OwningSymbol) is { } events) block.RegisterOperationAction(operation => events.Visit(operation.Operation), Kinds);
        });
        symbol.RegisterSymbolEndAction(end => bodies.Check(end.ReportDiagnostic));
    }

    private static void Check(BlockEvents events, Action<Diagnostic> reportDiagnostic)
    {
        events.Complete();
        // What a local function does happens at each of its calls, and is reported once.
        var reported = new HashSet<(string Id, Location Place)>();
        OptimizerOverAllParameters.Check(events, Report);
        OptimizerBeforeAttach.Check(events, Report);
        MoveAfterOptimizer.Check(events, Report);
        AttachInDisposeScope.Check(events, Report);
        TrainingWhileMerged.Check(events, Report);
        WholeModelSaved.Check(events, Report);
        AdaptedModelDiscarded.Check(events, Report);
        AdaptersGoneOnReturn.Check(events, Report);

        void Report(Diagnostic diagnostic)
        {
            if (reported.Add((diagnostic.Id, diagnostic.Location))) reportDiagnostic(diagnostic);
        }
    }
}
