using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>
/// Looks for a target behind a value, backwards from where the value is used: through variables, parameters, fields, results and collections of the compilation,
/// in whatever order statements run. It starts only at the few uses that would run a target without its adapter.
/// </summary>
internal sealed class TargetOrigins
{
    private const int MaximumSteps = 2000;

    private readonly TargetIndex index;
    private readonly SourceReferences references;
    private readonly CancellationToken cancellationToken;
    private readonly HashSet<ISymbol> visited = new(SymbolEqualityComparer.Default);
    private readonly HashSet<ISymbol> visitedCalls = new(SymbolEqualityComparer.Default);
    private int steps;

    // A Sequential runs its layers by call: only what is taken out of one can be run otherwise.
    private bool isTakenOut;

    private TargetOrigins(TargetIndex index, CancellationToken cancellationToken)
    {
        this.index = index;
        this.cancellationToken = cancellationToken;
        references = new SourceReferences(index.Compilation, cancellationToken);
    }

    /// <summary>A target whose value <paramref name="value"/> can be or hold; null where none is found.</summary>
    /// <param name="value">The value.</param>
    /// <param name="index">The targets.</param>
    /// <param name="withNamed">Whether a target that the expression itself names counts.</param>
    /// <param name="cancellationToken">Cancels.</param>
    public static ISymbol? Find(IOperation value, TargetIndex index, bool withNamed, CancellationToken cancellationToken) =>
        new TargetOrigins(index, cancellationToken).Of(value, withNamed);

    private ISymbol? Of(IEnumerable<IOperation?> values, bool withNamed = true)
    {
        foreach (var value in values)
        {
            if (Of(value, withNamed) is { } found) return found;
        }
        return null;
    }

    private ISymbol? Of(IOperation? value, bool withNamed = true)
    {
        if (value is null || ++steps > MaximumSteps) return null;
        switch (value)
        {
            // What the classifier of references follows from a target that is named.
            case IConversionOperation conversion: return Of(conversion.Operand, withNamed);
            case IParenthesizedOperation parenthesized: return Of(parenthesized.Operand, withNamed);
            case ICoalesceOperation coalesce: return Of([coalesce.Value, coalesce.WhenNull], withNamed);
            case IConditionalOperation conditional: return Of([conditional.WhenTrue, conditional.WhenFalse], withNamed);
            case ISwitchExpressionOperation choice: return Of(choice.Arms.Select(arm => arm.Value), withNamed);
            case IConditionalAccessOperation access: return Of(access.WhenNotNull, withNamed);
            case IArrayElementReferenceOperation element: return Of(element.ArrayReference, withNamed);
            case IArrayCreationOperation array: return Of(array.Initializer?.ElementValues ?? [], withNamed);
            case ICollectionExpressionOperation collection: return Of(collection.Elements, withNamed);
            case ISpreadOperation spread: return Of(spread.Operand, withNamed);
            case ITupleOperation tuple: return Of(tuple.Elements, withNamed);
            case ISimpleAssignmentOperation assignment: return Of(assignment.Value, withNamed);
            case IFieldReferenceOperation field when index.IsTarget(field.Field): return withNamed ? field.Field : null;
            case IPropertyReferenceOperation property when index.IsTarget(property.Property): return withNamed ? property.Property : null;
            case IPropertyReferenceOperation { Property.IsIndexer: true } element: return OfElements(element.Instance, withNamed);

            // What a delegate returns when it is called.
            case IDelegateCreationOperation made: return Of(made.Target);
            case IAnonymousFunctionOperation lambda: return Of(Returned(lambda.Body));
            case IMethodReferenceOperation method: return OfResults(method.Method);
        }
        return MayCarry(value.Type) ? OfCarrier(value) : null;
    }

    private ISymbol? OfCarrier(IOperation value) => value switch
    {
        ILocalReferenceOperation local => OfVariable(local.Local, Root(local)),
        IParameterReferenceOperation parameter => OfParameter(parameter.Parameter, Root(parameter)),
        IFieldReferenceOperation { Field.ContainingType.IsTupleType: true } part => Of(part.Instance),
        IFieldReferenceOperation field => OfMember(field.Field) ?? Of(field.Instance),
        IPropertyReferenceOperation { Property.ContainingType.IsAnonymousType: true } part => Of(part.Instance),
        // Lazy<…>.Value, Dictionary<…>.Values: what the object was given.
        IPropertyReferenceOperation property => OfMember(property.Property) ?? Of(property.Instance),
        IConditionalAccessInstanceOperation instance => Of(ValueFlow.AccessedOperation(instance)),
        IAwaitOperation wait => Of(wait.Operation),
        ITranslatedQueryOperation query => Of(query.Operation),
        IAnonymousObjectCreationOperation anonymous => Of(anonymous.Initializers),
        IInvocationOperation call when IsInSource(call.TargetMethod) => OfResults(call.TargetMethod),
        IInvocationOperation { TargetMethod: { IsExtensionMethod: false, ContainingAssembly.Name: WellKnownNames.TorchSharpAssembly } } call =>
            OfSubmodules(call) ?? (IsAnotherModule(call.Type) ? null : OfElements(call.Instance) ?? Of(call.Arguments.Select(argument => argument.Value))),
        IInvocationOperation call => Of(call.Instance) ?? Of(call.Arguments.Select(argument => argument.Value)),
        IObjectCreationOperation creation => IsAnotherModule(creation.Type) ? null : Of(creation.Arguments.Select(argument => argument.Value)) ?? Of(Added(creation.Initializer)),
        _ => null,
    };

    /// <summary>Whether what is made out of modules is a module itself, which calls them.</summary>
    private bool IsAnotherModule(ITypeSymbol? type) => index.Types.IsModule(type) && index.Types.ModuleElementType(type) is null && !(isTakenOut && index.Types.IsSequential(type));

    private ISymbol? OfElements(IOperation? container, bool withNamed = true)
    {
        var before = isTakenOut;
        isTakenOut |= index.Types.IsSequential(container?.Type);
        var found = Of(container, withNamed);
        isTakenOut = before;
        return found;
    }

    /// <summary>A field or property of the compilation: what it is initialized with, what its getter returns, and what is assigned to it or put into it.</summary>
    private ISymbol? OfMember(ISymbol member)
    {
        if (!IsInSource(member) || !visited.Add(member.OriginalDefinition)) return null;
        foreach (var body in references.Bodies(member))
        {
            if (Of(body is IBlockOperation or IMethodBodyBaseOperation ? Returned(body) : [body]) is { } found) return found;
        }
        // record Pair(Linear First): the property holds the parameter.
        if (member is IPropertySymbol && member.DeclaringSyntaxReferences.Any(reference => reference.GetSyntax() is ParameterSyntax))
        {
            var parameter = member.ContainingType.InstanceConstructors.SelectMany(one => one.Parameters).FirstOrDefault(one => one.Name == member.Name);
            if (parameter is not null && OfArguments(parameter) is { } given) return given;
        }
        return references.To(member).Select(OfWrite).FirstOrDefault(found => found is not null);
    }

    private ISymbol? OfVariable(ISymbol variable, IOperation root)
    {
        if (!visited.Add(variable)) return null;
        foreach (var operation in root.Descendants())
        {
            var found = operation switch
            {
                IVariableDeclaratorOperation declarator when WellKnownTypes.Same(declarator.Symbol, variable) => Of(declarator.GetVariableInitializer()?.Value) ?? (declarator.Parent is IForEachLoopOperation loop ? Of(loop.Collection) : null),
                IDeclarationPatternOperation pattern when WellKnownTypes.Same(pattern.DeclaredSymbol, variable) => Of(Matched(pattern)),
                IRecursivePatternOperation pattern when WellKnownTypes.Same(pattern.DeclaredSymbol, variable) => Of(Matched(pattern)),
                ILocalReferenceOperation local when WellKnownTypes.Same(local.Local, variable) => OfWrite(local),
                IParameterReferenceOperation parameter when WellKnownTypes.Same(parameter.Parameter, variable) => OfWrite(parameter),
                _ => null,
            };
            if (found is not null) return found;
        }
        return null;
    }

    private ISymbol? OfParameter(IParameterSymbol parameter, IOperation root) =>
        OfVariable(parameter, root) ?? (parameter.ContainingSymbol is IMethodSymbol method ? method.MethodKind switch
        {
            MethodKind.AnonymousFunction => OfLambdaParameter(parameter, root.DescendantsAndSelf().OfType<IAnonymousFunctionOperation>().FirstOrDefault(lambda => WellKnownTypes.Same(lambda.Symbol, method))),
            MethodKind.LocalFunction => Of(root.Descendants().OfType<IInvocationOperation>().Where(call => WellKnownTypes.Same(call.TargetMethod.OriginalDefinition, method.OriginalDefinition)).Select(call => Given(call.Arguments, parameter))),
            _ => OfArguments(parameter),
        } : null);

    /// <summary>What is passed for a parameter of a method or constructor of the compilation.</summary>
    private ISymbol? OfArguments(IParameterSymbol parameter)
    {
        if (parameter.ContainingSymbol is not IMethodSymbol method || !visitedCalls.Add(parameter.OriginalDefinition)) return null;
        var calls = method.MethodKind == MethodKind.Constructor ? references.ToConstructor(method) : references.To(method);
        return Of(calls.Select(call => call switch
        {
            IInvocationOperation invocation => Given(invocation.Arguments, parameter),
            IObjectCreationOperation creation => Given(creation.Arguments, parameter),
            _ => null,
        }));
    }

    /// <summary><c>layers.Select(layer => …)</c>: whatever else the called method gets.</summary>
    private ISymbol? OfLambdaParameter(IParameterSymbol parameter, IAnonymousFunctionOperation? lambda)
    {
        IOperation? value = lambda;
        while (value?.Parent is IDelegateCreationOperation or IConversionOperation or IParenthesizedOperation) value = value.Parent;
        return value?.Parent switch
        {
            IArgumentOperation { Parent: IInvocationOperation call } argument when !IsInSource(call.TargetMethod) => Of(call.Instance) ?? Of(call.Arguments.Where(other => !ReferenceEquals(other, argument)).Select(other => other.Value)),
            IArgumentOperation { Parameter: { } passed } => Of(references.To(passed).Select(use => CalledWith(use, parameter))),
            IVariableInitializerOperation { Parent: IVariableDeclaratorOperation variable } => Of(Root(value).Descendants().OfType<ILocalReferenceOperation>().Where(use => WellKnownTypes.Same(use.Local, variable.Symbol)).Select(use => CalledWith(use, parameter))),
            ISimpleAssignmentOperation { Target: IMemberReferenceOperation member } => Of(references.To(member.Member).Select(use => CalledWith(use, parameter))),
            _ => null,
        };
    }

    /// <summary><c>children()</c> and the like of an annotated class: its targets are among them.</summary>
    private ISymbol? OfSubmodules(IInvocationOperation call) =>
        call is { TargetMethod: { Name: "children" or "named_children" or "modules" or "named_modules" or "get_submodule", ContainingAssembly.Name: WellKnownNames.TorchSharpAssembly }, Instance.Type: INamedTypeSymbol type }
        && AdaptedClassParser.Parse(type, index.Types, cancellationToken) is { Targets: [var target, ..] }
            ? TargetMembers.Find(type, target.Member)
            : null;

    /// <summary>What a method of the compilation returns.</summary>
    private ISymbol? OfResults(IMethodSymbol method) =>
        IsInSource(method) && visited.Add(method.OriginalDefinition) ? Of(references.Bodies(method).SelectMany(Returned)) : null;

    /// <summary>What the code around a reference to a variable or member puts there.</summary>
    private ISymbol? OfWrite(IOperation reference)
    {
        var place = reference;
        while (place.Parent is IArrayElementReferenceOperation or IPropertyReferenceOperation { Property.IsIndexer: true } or IConversionOperation or IParenthesizedOperation or IDeclarationExpressionOperation) place = place.Parent;
        switch (place.Parent)
        {
            case IAssignmentOperation assignment when ReferenceEquals(assignment.Target, place): return Of(assignment.Value);
            case IForEachLoopOperation loop when ReferenceEquals(loop.LoopControlVariable, place): return Of(loop.Collection);
            case IMemberInitializerOperation initializer when ReferenceEquals(initializer.InitializedMember, place): return Of(Added(initializer.Initializer));
            // layers.Add(up), layers?.Add(up)
            case IInvocationOperation call when ReferenceEquals(call.Instance, place) && !IsInSource(call.TargetMethod): return Of(call.Arguments.Select(argument => argument.Value));
            case IConditionalAccessOperation { WhenNotNull: IInvocationOperation call } access when ReferenceEquals(access.Operation, place) && !IsInSource(call.TargetMethod): return Of(call.Arguments.Select(argument => argument.Value));
            case IArgumentOperation { Parameter: { RefKind: RefKind.Out or RefKind.Ref } parameter } argument: return OfReference(argument, parameter);
            // layers.AddRange(…) as an extension.
            case IArgumentOperation { Parent: IInvocationOperation { TargetMethod: { IsExtensionMethod: true, ReturnsVoid: true } } call } argument when !IsInSource(call.TargetMethod):
                return Of(call.Arguments.Where(other => !ReferenceEquals(other, argument)).Select(other => other.Value));
            case ITupleOperation: return OfPart(place);
            default: return null;
        }
    }

    /// <summary>A variable whose value another method sets.</summary>
    private ISymbol? OfReference(IArgumentOperation argument, IParameterSymbol parameter) => argument.Parent switch
    {
        IInvocationOperation call when IsInSource(call.TargetMethod) => references.To(parameter.OriginalDefinition).Select(OfWrite).FirstOrDefault(found => found is not null),
        IInvocationOperation call => Of(call.Instance) ?? Of(call.Arguments.Where(other => !ReferenceEquals(other, argument)).Select(other => other.Value)),
        _ => null,
    };

    /// <summary>A variable in <c>(a, b) = …</c> or <c>foreach (var (a, b) in …)</c>.</summary>
    private ISymbol? OfPart(IOperation part)
    {
        for (var current = part.Parent; current is not null; current = current.Parent)
        {
            switch (current)
            {
                case IDeconstructionAssignmentOperation deconstruction: return Of(Assignments.Of(deconstruction).Where(pair => Holds(pair.Target, part)).Select(pair => pair.Value));
                case IForEachLoopOperation loop: return Of(loop.Collection);
                case ITupleOperation or IDeclarationExpressionOperation: continue;
                default: return null;
            }
        }
        return null;
    }

    private static bool Holds(IOperation target, IOperation part) => target.DescendantsAndSelf().Contains(part);

    /// <summary>The argument for the place of <paramref name="parameter"/> where a delegate is called.</summary>
    private static IOperation? CalledWith(IOperation use, IParameterSymbol parameter)
    {
        var call = use as IInvocationOperation ?? use.Parent as IInvocationOperation;
        return call is { TargetMethod.MethodKind: MethodKind.DelegateInvoke } && parameter.Ordinal < call.Arguments.Length ? call.Arguments[parameter.Ordinal].Value : null;
    }

    private static IOperation? Given(IEnumerable<IArgumentOperation> arguments, IParameterSymbol parameter) => arguments.FirstOrDefault(argument => argument.Parameter?.Ordinal == parameter.Ordinal)?.Value;

    /// <summary>The elements and members of <c>new List&lt;…&gt; { up, down }</c>.</summary>
    private static IEnumerable<IOperation> Added(IObjectOrCollectionInitializerOperation? initializer) => initializer?.Initializers.SelectMany(one => one switch
    {
        IInvocationOperation add => add.Arguments.Select(argument => argument.Value),
        ISimpleAssignmentOperation assignment => [assignment.Value],
        _ => Enumerable.Empty<IOperation>(),
    }) ?? [];

    private static IEnumerable<IOperation> Returned(IOperation body) => body switch
    {
        IReturnOperation { ReturnedValue: { } value } => [value],
        IAnonymousFunctionOperation => [],
        ILocalFunctionOperation function => function.Body is { } block ? block.ChildOperations.SelectMany(ReturnedInside) : [],
        _ => body.ChildOperations.SelectMany(ReturnedInside),
    };

    private static IEnumerable<IOperation> ReturnedInside(IOperation operation) => operation is IAnonymousFunctionOperation or ILocalFunctionOperation ? [] : Returned(operation);

    /// <summary>The value that a pattern is matched against, or the whole of which it matches a part.</summary>
    private static IOperation? Matched(IOperation pattern)
    {
        for (var current = pattern.Parent; current is not null; current = current.Parent)
        {
            switch (current)
            {
                case IIsPatternOperation match: return match.Value;
                case ISwitchExpressionOperation choice: return choice.Value;
                case ISwitchOperation choice: return choice.Value;
            }
        }
        return null;
    }

    private static IOperation Root(IOperation operation)
    {
        while (operation.Parent is { } parent) operation = parent;
        return operation;
    }

    private bool IsInSource(ISymbol symbol) => !symbol.DeclaringSyntaxReferences.IsEmpty && WellKnownTypes.Same(symbol.ContainingAssembly, index.Compilation.Assembly);

    /// <summary>Whether a value of a type can be a target, hold one, or give one when it is called.</summary>
    private bool MayCarry(ITypeSymbol? type, int depth = 0) => depth < 4 && type switch
    {
        null => false,
        { TypeKind: TypeKind.Dynamic } => true,
        IArrayTypeSymbol array => MayCarry(array.ElementType, depth + 1),
        ITypeParameterSymbol parameter => parameter.ConstraintTypes.IsEmpty || parameter.ConstraintTypes.Any(constraint => MayCarry(constraint, depth + 1)),
        INamedTypeSymbol { IsTupleType: true } tuple => tuple.TupleElements.Any(element => MayCarry(element.Type, depth + 1)),
        INamedTypeSymbol { IsAnonymousType: true } anonymous => anonymous.GetMembers().OfType<IPropertySymbol>().Any(member => MayCarry(member.Type, depth + 1)),
        INamedTypeSymbol named => index.CouldHoldTarget(named) || index.Types.ModuleElementType(named) is not null || index.Types.IsSequential(named) || named.TypeArguments.Any(argument => MayCarry(argument, depth + 1)),
        _ => false,
    };
}
