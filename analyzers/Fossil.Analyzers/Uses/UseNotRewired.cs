using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL007: a use of a target that runs it without its adapter.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class UseNotRewired : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        if (TargetIndex.Of(context.Compilation, context.CancellationToken) is not { IsEmpty: false } index) return;
        context.RegisterOperationAction(
            operation => Analyze(operation, index),
            OperationKind.Invocation, OperationKind.MethodReference, OperationKind.FieldReference, OperationKind.PropertyReference, OperationKind.Argument, OperationKind.Conversion, OperationKind.SimpleAssignment, OperationKind.Return, OperationKind.YieldReturn);
    }

    private static void Analyze(OperationAnalysisContext context, TargetIndex index)
    {
        var use = TargetUse.Classify(context.Operation, index);
        if (use.Kind is not (TargetUseKind.NotCovered or TargetUseKind.Uncertain)) return;
        if (use.Kind == TargetUseKind.Uncertain)
        {
            // A target that is passed or converted where it is named is reported there.
            var isReportedByName = use.Reason is UncoveredReason.PassedToAnotherAssembly or UncoveredReason.Dynamic;
            if (TargetOrigins.Find(use.Value!, index, withNamed: !isReportedByName, context.CancellationToken) is not { } origin) return;
            use = use with { Member = origin };
        }
        var (what, advice) = Explain(use.Reason);
        var properties = LambdaParameter(use) is { } type ? ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.Replacement, type) : null;
        context.ReportDiagnostic(Diagnostic.Create(Descriptor, use.Operation.Syntax.GetLocation(), properties, use.Member?.Name ?? "The target", what, advice));
    }

    /// <summary>The type of the parameter of a lambda that can stand for a method group; null where none can.</summary>
    private static string? LambdaParameter(TargetUse use) =>
        use is { Reason: UncoveredReason.MethodGroup, Operation: IMethodReferenceOperation { Method.Parameters: [var parameter], Parent: IDelegateCreationOperation made } group }
        // `object f = up.forward` has a type of its own; so has a lambda only if its parameter has one.
        && made.Parent is not IConversionOperation { Type.TypeKind: not TypeKind.Delegate }
            ? parameter.Type.ToMinimalDisplayString(group.SemanticModel!, group.Syntax.SpanStart)
            : null;

    private static (string What, string Advice) Explain(UncoveredReason reason) => reason switch
    {
        UncoveredReason.MethodGroup => ("is turned into a delegate", "write a lambda that calls it, as in x => target.forward(x)"),
        UncoveredReason.ExpressionTree => ("is called in an expression tree", "call it in ordinary code, or by call instead of forward"),
        UncoveredReason.PassedToAnotherAssembly => ("is passed to code in another assembly that can call its forward", "call it here and pass on the result, or pass its call as a delegate"),
        UncoveredReason.InaccessibleType => ("is of a type that generated code cannot name", "make the type internal or public, and not local to a file"),
        UncoveredReason.Dynamic => ("is called through dynamic", "give the variable its static type, or use call instead of forward"),
        UncoveredReason.Reflection => ("is looked up or run by name through reflection", "use the member directly"),
        _ => ("is used in a way that is not followed", "call its forward directly"),
    };
}
