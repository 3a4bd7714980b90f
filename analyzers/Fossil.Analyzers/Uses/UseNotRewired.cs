using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL007: a use of a target that runs it without its adapter.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class UseNotRewired : DiagnosticAnalyzer
{
    internal const string Id = "FOSSIL007";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Use of a target cannot be rewired",
        "'{0}' {1}: here it runs without its adapter; {2}",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "The generator rewires calls of forward and call that it can see. Code that is compiled already, or a delegate made from the method, calls the layer itself.");

    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (TargetIndex.Of(start.Compilation, start.CancellationToken) is not { IsEmpty: false } index) return;
            start.RegisterOperationAction(
                operation => Analyze(operation, index),
                OperationKind.Invocation, OperationKind.MethodReference, OperationKind.FieldReference, OperationKind.PropertyReference, OperationKind.LocalReference);
        });
    }

    private static void Analyze(OperationAnalysisContext context, TargetIndex index)
    {
        var use = TargetUse.Classify(context.Operation, index);
        if (use.Kind != TargetUseKind.NotCovered) return;
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
        UncoveredReason.Sequential => ("goes into a Sequential, whose compiled code calls it", "call the layers one after the other"),
        UncoveredReason.ExpressionTree => ("is called in an expression tree", "call it in ordinary code"),
        UncoveredReason.PassedToAnotherAssembly => ("is passed to code in another assembly that can call it", "call it here and pass on the result"),
        UncoveredReason.InaccessibleType => ("is of a type that generated code cannot name", "make the type internal or public, and not local to a file"),
        UncoveredReason.Dynamic => ("is called through dynamic", "give the variable its static type"),
        UncoveredReason.Reflection => ("is looked up by name through reflection", "use the member directly"),
        _ => ("is used in a way that is not followed", "call its forward directly"),
    };
}
