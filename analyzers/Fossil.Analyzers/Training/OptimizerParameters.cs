using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>What an optimizer is made over.</summary>
/// <param name="Call">The call of <c>parameters()</c>, <c>named_parameters()</c> or <c>TrainableParameters()</c>.</param>
/// <param name="Syntax">Where the optimizer is given its result: the call itself, or the variable that holds it.</param>
/// <param name="TakesNames">Whether the optimizer could be given names and parameters in that place.</param>
internal sealed record OptimizerParameters(IInvocationOperation Call, SyntaxNode Syntax, bool TakesNames)
{
    /// <summary>The parameters that an optimizer is made over, where they are all those of a module or of an adapted model; null where a part may be left out.</summary>
    public static OptimizerParameters? Of(IOperation optimizer, TrainingTypes types)
    {
        var (arguments, method) = optimizer switch
        {
            IInvocationOperation { TargetMethod: { ContainingAssembly.Name: "TorchSharp", IsStatic: true } called } invocation => (invocation.Arguments, called),
            IObjectCreationOperation { Constructor: { } constructor } creation => (creation.Arguments, constructor),
            _ => ([], null),
        };
        foreach (var argument in arguments)
        {
            var (source, place) = Source(argument.Value);
            if (source is not IInvocationOperation { Instance.Type: { } owner } call) continue;
            var isAll = call.TargetMethod.Name is "parameters" or "named_parameters" && types.IsModule(owner);
            if (!isAll && !(call.TargetMethod.Name == "TrainableParameters" && types.IsAdapted(owner))) continue;
            return new OptimizerParameters(call, place.Syntax, TakesTuples(method!, argument.Parameter?.Ordinal ?? 0));
        }
        return null;
    }

    private static bool TakesTuples(IMethodSymbol method, int position) => method.ContainingType.GetMembers(method.Name).OfType<IMethodSymbol>().Any(overload =>
        overload.IsStatic == method.IsStatic && position < overload.Parameters.Length
        && overload.Parameters[position].Type is INamedTypeSymbol { Name: "IEnumerable", TypeArguments: [INamedTypeSymbol { IsTupleType: true }] });

    /// <summary>The sequence behind variables and LINQ that keep every element, and the expression that could be replaced by another sequence.</summary>
    private static (IOperation Source, IOperation Place) Source(IOperation value)
    {
        var place = Subject.Unwrap(value);
        var source = place;
        while (true)
        {
            if (source is IInvocationOperation { TargetMethod: { Name: "ToList" or "ToArray" or "AsEnumerable" or "Select" or "Cast", ContainingType.Name: "Enumerable" } method, Arguments: [var first, ..] })
            {
                source = Subject.Unwrap(first.Value);
                // What a lambda makes of each element is not asked, so the sequence before it must stay what it is.
                if (method.Name is not ("Select" or "Cast") && place is IInvocationOperation) place = source;
            }
            else if (source is ILocalReferenceOperation local && KeptValue(local) is { } kept)
            {
                source = Subject.Unwrap(kept);
            }
            else
            {
                return (source, place);
            }
        }
    }

    /// <summary>What a local was declared with, if it holds the same elements still.</summary>
    private static IOperation? KeptValue(ILocalReferenceOperation reference)
    {
        if (reference.SemanticModel is not { } model || reference.Local.DeclaringSyntaxReferences is not [var declared]) return null;
        if (declared.GetSyntax() is not VariableDeclaratorSyntax { Initializer.Value: { } initializer } || initializer.SyntaxTree != model.SyntaxTree) return null;
        IOperation root = reference;
        while (root.Parent is { } parent) root = parent;
        // A sequence has no elements of its own to change; from a list some may have been taken.
        var isSequence = reference.Local.Type is INamedTypeSymbol { Name: "IEnumerable" or "IReadOnlyList" or "IReadOnlyCollection" };
        var uses = root.Descendants().OfType<ILocalReferenceOperation>().Where(use => WellKnownTypes.Same(use.Local, reference.Local));
        return uses.All(use => isSequence ? !IsWritten(use) : ReferenceEquals(use, reference) || use.Parent is IPropertyReferenceOperation or IForEachLoopOperation)
            ? model.GetOperation(initializer)
            : null;
    }

    private static bool IsWritten(IOperation use) =>
        (use.Parent is IAssignmentOperation assignment && ReferenceEquals(assignment.Target, use)) || use.Parent is IArgumentOperation { Parameter.RefKind: not RefKind.None };
}
