using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>
/// Which classes have objects that become elements of a <c>Sequential</c> and go nowhere else, forwards from where they are made. Of its elements TorchSharp
/// registers what they have registered themselves.
/// </summary>
internal sealed class SequentialElements(Compilation compilation, WellKnownTypes types)
{
    private const int MaximumSteps = 500;

    private enum Goal
    {
        Nowhere,
        Sequential,
        Elsewhere,
    }

    /// <summary>Whether some object of <paramref name="type"/> is an element of a <c>Sequential</c> and of nothing else.</summary>
    public bool Has(INamedTypeSymbol type, CancellationToken cancellationToken)
    {
        var references = new SourceReferences(compilation, cancellationToken);
        return type.InstanceConstructors.SelectMany(references.ToConstructor).OfType<IObjectCreationOperation>().Any(made => new Walk(types, references).GoalOf(made) == Goal.Sequential);
    }

    private sealed class Walk(WellKnownTypes types, SourceReferences references)
    {
        private readonly HashSet<ISymbol> visited = new(SymbolEqualityComparer.Default);
        private int steps;

        public Goal GoalOf(IOperation value) => ++steps > MaximumSteps ? Goal.Elsewhere : value.Parent switch
        {
            IConversionOperation or IParenthesizedOperation or ITupleOperation or IArrayInitializerOperation or IArrayCreationOperation or ICollectionExpressionOperation or ISpreadOperation
                or ICoalesceOperation or IConditionalOperation or ISwitchExpressionArmOperation or ISwitchExpressionOperation or IDelegateCreationOperation or IObjectOrCollectionInitializerOperation => GoalOf(value.Parent),
            IArrayElementReferenceOperation or IPropertyReferenceOperation { Property.IsIndexer: true } => GoalOf(value.Parent),
            IObjectCreationOperation made when value is IObjectOrCollectionInitializerOperation => GoalOf(made),
            IReturnOperation result => OfResult(result),
            IVariableInitializerOperation { Parent: IVariableDeclaratorOperation variable } => OfVariable(variable.Symbol, value),
            ISimpleAssignmentOperation { Target: ILocalReferenceOperation local } assignment when ReferenceEquals(assignment.Value, value) => OfVariable(local.Local, value),
            ISimpleAssignmentOperation assignment when !ReferenceEquals(assignment.Value, value) => Goal.Nowhere,
            IForEachLoopOperation loop => Together(loop.Locals.Select(local => OfVariable(local, value))),
            IArgumentOperation argument => OfArgument(argument),
            // layers.ToArray() goes on, block.forward(x) ends.
            IInvocationOperation call when types.IsModule(value.Type) || call.TargetMethod.ReturnsVoid => Goal.Nowhere,
            IInvocationOperation call => GoalOf(call),
            IMemberReferenceOperation or IExpressionStatementOperation => Goal.Nowhere,
            _ => Goal.Elsewhere,
        };

        private Goal OfArgument(IArgumentOperation argument)
        {
            if (argument.Parent is IObjectCreationOperation creation) return types.IsSequential(creation.Type) ? Goal.Sequential : types.IsModule(creation.Type) ? Goal.Elsewhere : GoalOf(creation);
            if (argument.Parent is not IInvocationOperation call) return Goal.Elsewhere;
            var method = call.TargetMethod;
            // Sequential(…), sequential.append(…), and base(…) of a class that derives from it.
            if (method.ContainingAssembly?.Name == WellKnownNames.TorchSharpAssembly) return types.IsSequential(method.ReturnType) || types.IsSequential(call.Instance?.Type) || (method.MethodKind == MethodKind.Constructor && types.IsSequential(method.ContainingType)) ? Goal.Sequential : Goal.Elsewhere;
            if (!method.DeclaringSyntaxReferences.IsEmpty) return argument.Parameter is { } parameter && visited.Add(parameter) ? Together(references.To(parameter.OriginalDefinition).Select(GoalOf)) : Goal.Elsewhere;
            return call.Instance switch
            {
                ILocalReferenceOperation list => OfVariable(list.Local, list),
                // new List<…> { new Block() }
                IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ImplicitReceiver } => GoalOf(call),
                null when !method.ReturnsVoid => GoalOf(call),
                _ => Goal.Elsewhere,
            };
        }

        private Goal OfVariable(ILocalSymbol local, IOperation place) => visited.Add(local) ? Together(ValueFlow.UsesOf(local, place).Select(GoalOf)) : Goal.Nowhere;

        /// <summary>What becomes of the results of the lambda or method around a <c>return</c>.</summary>
        private Goal OfResult(IReturnOperation result)
        {
            IOperation root = result;
            for (var current = result.Parent; current is not null; root = current, current = current.Parent)
            {
                if (current is IAnonymousFunctionOperation lambda) return GoalOf(lambda);
                if (current is ILocalFunctionOperation) return Goal.Elsewhere;
            }
            return root.SemanticModel?.GetEnclosingSymbol(result.Syntax.SpanStart) is IMethodSymbol { AssociatedSymbol: null } method && visited.Add(method) ? Together(references.To(method).Select(GoalOf)) : Goal.Elsewhere;
        }

        /// <summary>What is registered anywhere is registered.</summary>
        private static Goal Together(IEnumerable<Goal> goals) => goals.DefaultIfEmpty(Goal.Nowhere).Max();
    }
}
