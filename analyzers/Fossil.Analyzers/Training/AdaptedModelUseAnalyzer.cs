using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Training;

/// <summary>Follows an adapted model through one body and reports steps that come in the wrong order.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class AdaptedModelUseAnalyzer : DiagnosticAnalyzer
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } =
    [
        OptimizerOverAllParameters.Descriptor, OptimizerBeforeAttach.Descriptor, MoveAfterOptimizer.Descriptor, AttachInDisposeScope.Descriptor,
        TrainingWhileMerged.Descriptor, WholeModelSaved.Descriptor, AdaptedModelDiscarded.Descriptor,
    ];

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (TrainingTypes.From(start.Compilation) is not { } types) return;
            start.RegisterOperationBlockStartAction(block =>
            {
                var events = new BlockEvents(types);
                block.RegisterOperationAction(
                    operation => events.Visit(operation.Operation),
                    OperationKind.Invocation, OperationKind.ObjectCreation, OperationKind.LocalReference, OperationKind.FieldReference, OperationKind.ParameterReference);
                block.RegisterOperationBlockEndAction(end => Check(events, end.ReportDiagnostic));
            });
        });
    }

    private static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        OptimizerOverAllParameters.Check(events, report);
        OptimizerBeforeAttach.Check(events, report);
        MoveAfterOptimizer.Check(events, report);
        AttachInDisposeScope.Check(events, report);
        TrainingWhileMerged.Check(events, report);
        WholeModelSaved.Check(events, report);
        AdaptedModelDiscarded.Check(events, report);
    }
}
