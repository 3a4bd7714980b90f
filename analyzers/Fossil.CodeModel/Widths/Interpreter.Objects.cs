using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Making objects, arrays and collections.</content>
internal sealed partial class Interpreter
{
    private const int MaxArrayLength = 1024;

    private Value Create(IObjectCreationOperation creation)
    {
        var arguments = Arguments(creation.Arguments);
        if (creation.Type is not INamedTypeSymbol type || state is null) return NotFollowed;
        using var _ = EnterCall(creation.Syntax);
        if (type.IsTupleType) return new TupleValue([.. arguments.Select(argument => argument.Value)], Here);

        return Make(Substitute(type), creation.Constructor, arguments, creation, creation.Initializer);
    }

    /// <summary><c>new T()</c>, where the call or construction says what T is.</summary>
    private Value Create(ITypeParameterObjectCreationOperation creation)
    {
        if (creation.Type is null || Resolve(creation.Type) is not var (known, depth) || known is not INamedTypeSymbol { TypeKind: TypeKind.Class } type) return NotFollowed;
        if (type.InstanceConstructors.FirstOrDefault(candidate => candidate.Parameters.IsEmpty) is not { } constructor) return NotFollowed;
        using var _ = EnterCall(creation.Syntax);
        return Make((type, Math.Min(depth, frame.Depth)), constructor, [], creation, creation.Initializer);
    }

    private Value Make(
        (INamedTypeSymbol Type, int Depth) exact, IMethodSymbol? constructor, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments,
        IOperation creation, IObjectOrCollectionInitializerOperation? initializer)
    {
        var type = exact.Type;
        var isSequence = IsCollection(type);
        var made = Allocate(new HeapObject { Type = type, IsExact = true, MadeBy = Site(creation.Syntax), MadeDepth = exact.Depth });
        if (isSequence) FillCollection(made, arguments);
        var isOwn = constructor is not null && !type.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty;
        if (isOwn)
        {
            underConstruction.Add(made.Id);
            RunCallee(constructor!, made, arguments);
        }
        else if (ObjectOf(made) is { } found && !isSequence)
        {
            Update(made, found with { IsOpen = true, Members = PositionalMembers(type, arguments) });
        }
        SetDeclaredWidths(made, type, arguments);
        if (initializer is not null) Initialize(initializer, made);
        if (isOwn)
        {
            underConstruction.Remove(made.Id);
            Observe(made, Site(creation.Syntax));
        }
        return made.KnownBy(frame.Control);
    }

    /// <summary>The properties that the primary constructor of a record in another assembly sets.</summary>
    private static ImmutableDictionary<ISymbol, Value> PositionalMembers(INamedTypeSymbol type, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        var members = HeapObject.NoMembers;
        if (!type.IsRecord) return members;
        foreach (var (parameter, value) in arguments)
        {
            if (type.OriginalDefinition.GetMembers(parameter.Name).FirstOrDefault() is IPropertySymbol { SetMethod: null or { IsInitOnly: true } } property) members = members.SetItem(property, value);
        }
        return members;
    }

    /// <summary>A new frame for a constructor that an object creation calls.</summary>
    private void RunCallee(IMethodSymbol constructor, Reference made, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        if (calls.Count >= MaxCalls || calls.Count(call => Same(call.Member, constructor.OriginalDefinition)) > 1)
        {
            Escape(made, arguments.Select(argument => argument.Value));
            return;
        }
        var callee = new Frame(NextFrame(), Math.Min(frame.Depth, int.MaxValue - 1) + 1, constructor.OriginalDefinition, made, null) { Control = frame.Control };
        foreach (var (parameter, value) in arguments) SetVariable(callee, parameter.OriginalDefinition, value);
        In(callee, () =>
        {
            Construct(constructor.OriginalDefinition, made);
            Drop(callee, constructor);
            return 0;
        });
    }

    /// <summary>Runs a constructor in the current frame: initialisers, then the base constructor, then the body.</summary>
    private void Construct(IMethodSymbol constructor, Reference made)
    {
        var type = constructor.ContainingType;
        var isPrimary = IsPrimary(constructor);
        var body = isPrimary ? null : source.BodyOf(constructor, cancellationToken) as IConstructorBodyOperation;
        var header = isPrimary ? source.PrimaryBaseCall(type, cancellationToken) : body?.Initializer;
        using var _ = EnterCall(header?.Syntax ?? constructor.DeclaringSyntaxReferences.FirstOrDefault()?.GetSyntax(cancellationToken));
        if (CalleeOf(header) is { } chained && Same(chained.TargetMethod.ContainingType.OriginalDefinition, type.OriginalDefinition))
        {
            RunCallee(chained.TargetMethod, made, Arguments(chained.Arguments));
        }
        else
        {
            if (isPrimary) CaptureParameters(constructor, type, made);
            foreach (var member in type.GetMembers()) RunInitializer(member, made);
            if (CalleeOf(header) is { } call) CallBase(call.TargetMethod, made, Arguments(call.Arguments));
            else if (type.BaseType?.InstanceConstructors.FirstOrDefault(candidate => candidate.Parameters.All(parameter => parameter.IsOptional)) is { } implied) CallBase(implied, made, []);
        }
        if (body is not null && (body.BlockBody ?? body.ExpressionBody) is { } block) Execute(block);
        state = frame.Returns.Aggregate(state, (joined, exit) => State.Join(joined, exit.State));
        frame.Returns.Clear();
    }

    private static IInvocationOperation? CalleeOf(IOperation? header) => header switch
    {
        IInvocationOperation call => call,
        IExpressionStatementOperation { Operation: IInvocationOperation call } => call,
        _ => null,
    };

    private void CallBase(IMethodSymbol constructor, Reference made, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        if (constructor.ContainingType.OriginalDefinition.DeclaringSyntaxReferences.IsEmpty)
        {
            SetDeclaredWidths(made, constructor.ContainingType, arguments);
            return;
        }
        RunCallee(constructor, made, arguments);
        SetDeclaredWidths(made, constructor.ContainingType, arguments);
    }

    private static bool IsPrimary(IMethodSymbol constructor) =>
        constructor.DeclaringSyntaxReferences is [var reference] && reference.GetSyntax() is TypeDeclarationSyntax { ParameterList: not null };

    /// <summary>Parameters of a primary constructor live on as members of the object; those of a record are its properties too.</summary>
    private void CaptureParameters(IMethodSymbol constructor, INamedTypeSymbol type, Reference made)
    {
        if (ObjectOf(made) is not { } found) return;
        var members = found.Members;
        foreach (var parameter in constructor.Parameters)
        {
            if (!state!.Variables.TryGetValue((frame.Id, parameter), out var value)) continue;
            members = members.SetItem(parameter, value);
            if (type.IsRecord && type.GetMembers(parameter.Name).OfType<IPropertySymbol>().FirstOrDefault() is { } property
                && property.DeclaringSyntaxReferences.All(reference => reference.GetSyntax(cancellationToken) is ParameterSyntax))
            {
                members = members.SetItem(property, value);
            }
        }
        Update(made, found with { Members = members });
    }

    private void RunInitializer(ISymbol member, Reference made)
    {
        if (member.IsStatic || member is not (IFieldSymbol { IsImplicitlyDeclared: false } or IPropertySymbol) || member is IFieldSymbol { IsConst: true }) return;
        if (source.InitializerOf(member, cancellationToken) is not ISymbolInitializerOperation initializer || state is null) return;
        var value = CopyOfStruct(Evaluate(initializer.Value));
        if (ObjectOf(made) is { } found) Update(made, found with { Members = found.Members.SetItem(member, value.KnownBy(BoundAt(initializer.Value.Syntax))) });
    }

    /// <summary>Input and output width of a layer, where its constructor or factory takes them.</summary>
    private void SetDeclaredWidths(Reference made, INamedTypeSymbol type, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        if (knowledge.WidthParametersOf(type) is not var (input, output) || ObjectOf(made) is not { Widths: null } found) return;
        var widthIn = arguments.FirstOrDefault(argument => argument.Parameter.Name == input).Value;
        var widthOut = arguments.FirstOrDefault(argument => argument.Parameter.Name == output).Value;
        if (widthIn is not null || widthOut is not null) Update(made, found with { Widths = (widthIn ?? NotFollowed, widthOut ?? NotFollowed) });
    }

    private Reference MakeLayer(INamedTypeSymbol type, Value input, Value output, SyntaxNode site) =>
        Allocate(new HeapObject { Type = type, IsExact = true, IsOpen = true, Widths = (input.KnownBy(frame.Control), output.KnownBy(frame.Control)), MadeBy = Site(site) });

    /// <summary>The arguments by parameter; in the analysed body itself each value remembers which argument carried it.</summary>
    private List<(IParameterSymbol Parameter, Value Value)> Arguments(ImmutableArray<IArgumentOperation> arguments)
    {
        var values = new List<(IParameterSymbol, Value)>();
        foreach (var argument in arguments)
        {
            var value = CopyOfStruct(Evaluate(argument.Value));
            if (argument.Parameter is not { } parameter) continue;
            if (value.From.Depth == 0 && frame.Depth == 0 && (calls.Count == 0 || value.From.Via is null))
            {
                var syntax = argument.ArgumentKind == ArgumentKind.DefaultValue ? argument.Parent?.Syntax ?? argument.Syntax : argument.Value.Syntax;
                value = value.WithFrom(new Provenance(0, syntax));
            }
            else if (value is Reference && frame.Depth == 0)
            {
                value = value.WithFrom(new Provenance(frame.Depth, argument.Value.Syntax));
            }
            values.Add((parameter.OriginalDefinition, value));
        }
        // Named arguments are evaluated in the order of the source, and bound in that of the parameters.
        return [.. values.OrderBy(argument => argument.Item1.Ordinal)];
    }

    private void Initialize(IObjectOrCollectionInitializerOperation initializer, Value made)
    {
        frame.Initialised.Push(made);
        Initialize(initializer);
        frame.Initialised.Pop();
    }

    private void Initialize(IObjectOrCollectionInitializerOperation initializer)
    {
        foreach (var step in initializer.Initializers)
        {
            if (step is IMemberInitializerOperation nested) Initialize(nested.Initializer, Evaluate(nested.InitializedMember));
            else Evaluate(step);
        }
    }

    private Value CreateAnonymous(IAnonymousObjectCreationOperation anonymous)
    {
        var made = Allocate(new HeapObject { Type = anonymous.Type, IsExact = true });
        frame.Initialised.Push(made);
        foreach (var step in anonymous.Initializers)
        {
            if (step is ISimpleAssignmentOperation { Target: IPropertyReferenceOperation target } assignment)
            {
                var value = Evaluate(assignment.Value);
                if (ObjectOf(made) is { } found) Update(made, found with { Members = found.Members.SetItem(target.Property.OriginalDefinition, value) });
            }
        }
        frame.Initialised.Pop();
        return made;
    }

    private Value With(IWithOperation with)
    {
        var original = Evaluate(with.Operand);
        var copy = Allocate(ObjectOf(original) ?? new HeapObject { Type = with.Type, IsOpen = true }).KnownBy(original.From);
        Initialize(with.Initializer, copy);
        return copy;
    }

    private Value CreateArray(IArrayCreationOperation array)
    {
        var sizes = array.DimensionSizes.Select(Evaluate).ToList();
        var element = (array.Type as IArrayTypeSymbol)?.ElementType;
        if (array.Initializer is { } initializer)
        {
            return Sequence([.. initializer.ElementValues.Select(value => CopyOfStruct(Evaluate(value)))], true, array.Type);
        }
        if (sizes.Count > 1) return CreateTable([.. sizes], array.Type, element);
        if (sizes is [Constant { Content: var content }] && Folding.Integer(content) is { } length and >= 0 and <= MaxArrayLength)
        {
            Value initial = Folding.Default(element) is { } constant ? constant : NotFollowed;
            return Sequence([.. Enumerable.Repeat(initial, (int)length)], true, array.Type).KnownBy(sizes[0].From);
        }
        return Sequence([], false, array.Type);
    }

    private Value CreateCollection(ICollectionExpressionOperation collection)
    {
        var items = ImmutableArray.CreateBuilder<Value>();
        var isExact = true;
        foreach (var element in collection.Elements)
        {
            if (element is not ISpreadOperation spread)
            {
                items.Add(CopyOfStruct(Evaluate(element)));
                continue;
            }
            var spreadValue = Evaluate(spread.Operand);
            if (ObjectOf(spreadValue) is { IsSequence: true } sequence)
            {
                items.AddRange(sequence.Items);
                isExact &= sequence.HasExactItems;
            }
            else
            {
                isExact = false;
            }
        }
        return Sequence(items.ToImmutable(), isExact, collection.Type);
    }

    private Value Sequence(ImmutableArray<Value> items, bool isExact, ITypeSymbol? type) =>
        Allocate(new HeapObject { Type = type, IsExact = true, Items = items, HasExactItems = isExact }).KnownBy(frame.Control);

    /// <summary>
    /// Runs a lambda or local function as if it were called once with unknown arguments: it may be, by code that is not followed.
    /// What it does to variables around it is unknown from then on.
    /// </summary>
    private void RunUncalled(IMethodSymbol method, IOperation body)
    {
        if (state is null || calls.Count > 0) return;
        var before = state.Copy();
        var callee = new Frame(NextFrame(), frame.Depth, method, frame.Receiver, frame) { Yields = [] };
        foreach (var parameter in method.Parameters) SetVariable(callee, parameter, new Unknown(UnknownReason.Parameter, parameter.Name));
        calls.Push(callee);
        var caller = frame;
        frame = callee;
        ExecuteBody(body);
        frame = caller;
        calls.Pop();
        var after = callee.Returns.Aggregate((State?)state, (joined, exit) => State.Join(joined, exit.State));
        // A local function has its effect where it is called; a lambda may have it any time.
        state = after is null || body is ILocalFunctionOperation ? before : State.Widen(before, after, out _);
    }
}
