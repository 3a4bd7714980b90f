using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <summary>
/// Runs one body abstractly: constants, objects and collections are followed, all else is unknown. It always ends, because steps, nesting
/// and iterations are bounded, and it never throws. One instance for one body.
/// </summary>
internal sealed partial class Interpreter(OperationSource source, WidthKnowledge knowledge, ITargetObserver observer, CancellationToken cancellationToken)
{
    private const int MaxSteps = 60_000;
    private const int MaxNesting = 250;
    private const int MaxCalls = 16;

    private int steps;
    private int nesting;
    private int frames;
    private int objects;

    /// <summary>The variables and objects now; null where the current point is never reached.</summary>
    private State? state = new();

    private Frame frame = new(0, 0, null, null, null);

    /// <summary>The calls from the analysed body to the current one.</summary>
    private readonly Stack<Frame> calls = new();

    /// <summary>The objects whose constructors run now.</summary>
    private readonly List<int> underConstruction = [];

    /// <summary>Whether the bound on the steps was met: from there on nothing is known.</summary>
    public bool IsExhausted { get; private set; }

    /// <summary>Runs a body whose parameters are not known.</summary>
    public void RunBody(ISymbol owner, IEnumerable<IOperation> blocks)
    {
        var type = owner.ContainingType;
        var receiver = owner.IsStatic || type is null ? null : Allocate(new HeapObject { Type = type, IsOpen = true });
        frame = new Frame(NextFrame(), 0, owner, receiver, null);
        BindUnknown(owner as IMethodSymbol);
        foreach (var block in blocks) ExecuteBody(block);
    }

    /// <summary>Runs a constructor with its initialisers and base constructors; its parameters are not known.</summary>
    public void RunConstructor(IMethodSymbol constructor)
    {
        var type = constructor.ContainingType;
        var made = Allocate(new HeapObject { Type = type, IsExact = type.IsSealed, MadeDepth = 0 });
        frame = new Frame(NextFrame(), 0, constructor, made, null);
        BindUnknown(constructor);
        underConstruction.Add(made.Id);
        Construct(constructor, made);
        underConstruction.Remove(made.Id);
        Observe(made, constructor.DeclaringSyntaxReferences.FirstOrDefault()?.GetSyntax(cancellationToken));
    }

    private void BindUnknown(IMethodSymbol? method)
    {
        if (method is null) return;
        foreach (var parameter in method.Parameters) SetVariable(frame, parameter, new Unknown(UnknownReason.Parameter, parameter.Name));
    }

    private int NextFrame() => ++frames;

    private Reference Allocate(HeapObject made)
    {
        var id = ++objects;
        if (state is not null) state.Heap = state.Heap.SetItem(id, made);
        return new Reference(id, new Provenance(int.MaxValue, null));
    }

    /// <summary>The provenance of what the current frame makes by itself.</summary>
    private Provenance Here => new Provenance(frame.Depth, null).And(frame.Control);

    private Constant Known(object? content) => new(content, Here);

    private HeapObject? ObjectOf(Value? value) =>
        value is Reference reference && state is not null && state.Heap.TryGetValue(reference.Id, out var found) ? found : null;

    private void Update(Reference reference, HeapObject changed)
    {
        if (state is not null) state.Heap = state.Heap.SetItem(reference.Id, changed);
    }

    /// <summary>Counts work that grows with the number of objects or variables.</summary>
    private void Charge(int size) => steps += size / 8;

    /// <summary>Counts a step; false where the interpretation has come to its bounds.</summary>
    private bool Step()
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (++steps > MaxSteps) IsExhausted = true;
        return !IsExhausted;
    }

    /// <summary>Calls a method, accessor, lambda or local function that is in source.</summary>
    private Value Invoke(IMethodSymbol method, IOperation body, Value? receiver, Frame? home, IReadOnlyList<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        if (calls.Count >= MaxCalls || calls.Count(call => Same(call.Member, method.OriginalDefinition)) > 2)
        {
            Escape(receiver, arguments.Select(argument => argument.Value));
            return new Unknown(UnknownReason.TooLong, method.Name);
        }
        var isNested = home is not null;
        var callee = new Frame(NextFrame(), isNested ? home!.Depth : Math.Min(frame.Depth, int.MaxValue - 1) + 1, method.OriginalDefinition, receiver, home) { Control = frame.Control };
        if (method.OriginalDefinition.ContainingType is { IsExtension: true, ExtensionParameter: { } extended } && receiver is not null) SetVariable(callee, extended, receiver);
        foreach (var (parameter, value) in arguments) SetVariable(callee, parameter, value);
        BindTypeArguments(callee, method);
        return In(callee, () =>
        {
            if (IsIterator(method, body)) callee.Yields = [];
            ExecuteBody(body);
            var result = Leave(callee, method);
            if (!isNested) Drop(callee, method);
            return result;
        });
    }

    /// <summary>Joins the states and values of every way out of a call.</summary>
    private Value Leave(Frame callee, IMethodSymbol method)
    {
        var isVoid = method.ReturnsVoid || callee.Returns.Count == 0;
        if (state is not null) callee.Returns.Add((state, Known(null)));
        state = callee.Returns.Aggregate((State?)null, (joined, exit) => State.Join(joined, exit.State));
        if (callee.Yields is { } yields)
        {
            var made = Allocate(new HeapObject { Items = [.. yields], HasExactItems = callee.Returns.Count <= 1 });
            return made;
        }
        if (isVoid || callee.Returns.Count == 0) return Known(null);
        return callee.Returns.Select(exit => exit.Value).Aggregate(Value.Join);
    }

    private static bool IsIterator(IMethodSymbol method, IOperation body) =>
        method.ReturnType.OriginalDefinition.SpecialType is SpecialType.System_Collections_Generic_IEnumerable_T or SpecialType.System_Collections_Generic_IEnumerator_T
        && body.Descendants().Any(operation => operation.Kind == OperationKind.YieldReturn);

    private T In<T>(Frame callee, Func<T> run)
    {
        var caller = frame;
        calls.Push(callee);
        frame = callee;
        var result = run();
        frame = caller;
        calls.Pop();
        return result;
    }

    /// <summary>Runs the body of a method, constructor or accessor.</summary>
    private void ExecuteBody(IOperation body)
    {
        switch (body)
        {
            case IMethodBodyBaseOperation method:
                if ((method.BlockBody ?? method.ExpressionBody) is { } block) Execute(block);
                break;
            case ILocalFunctionOperation local:
                if (local.Body is { } localBody) Execute(localBody);
                break;
            case IAnonymousFunctionOperation lambda:
                Execute(lambda.Body);
                break;
            case ISymbolInitializerOperation initializer:
                Evaluate(initializer.Value);
                break;
            default:
                Execute(body);
                break;
        }
    }

    private static bool Same(ISymbol? left, ISymbol? right) => WellKnownTypes.Same(left, right);

    /// <summary>Tells the observer the widths of each target of an object that is complete.</summary>
    private void Observe(Reference made, SyntaxNode? site)
    {
        if (IsExhausted || state is null || ObjectOf(made) is not { Type: INamedTypeSymbol type } found) return;
        foreach (var target in knowledge.TargetsOf(type))
        {
            var value = ReadMember(made, found, target.Symbol);
            ObserveTarget(target, value, made.Id, site);
        }
    }

    /// <summary>Tells the observer what a target holds: one layer, or each of a collection.</summary>
    private void ObserveTarget(TargetMember target, Value value, int owner, SyntaxNode? site)
    {
        if (IsExhausted) return;
        if (ObjectOf(value) is { IsSequence: true } sequence)
        {
            for (var index = 0; index < sequence.Items.Length; index++) ObserveLayer(target, (sequence.IsMap ? Select(sequence.Items[index], 1) : sequence.Items[index]).KnownBy(value.From), owner, site, sequence.HasExactItems ? index : -1);
            return;
        }
        ObserveLayer(target, value, owner, site, null);
    }

    private void ObserveLayer(TargetMember target, Value value, int owner, SyntaxNode? site, int? index)
    {
        var layers = value.Alternatives.Where(alternative => alternative is not Constant { Content: null }).ToList();
        if (layers.Count == 0) return;
        var inputs = new List<Value>();
        var outputs = new List<Value>();
        var from = value.From;
        foreach (var layer in layers)
        {
            var widths = WidthsOf(layer);
            inputs.Add(widths.In);
            outputs.Add(widths.Out);
        }
        var identity = layers is [Reference only] ? only.Id : (int?)null;
        observer.Observe(new TargetObservation(target, owner, identity, index, Value.OneOf(inputs).KnownBy(from), Value.OneOf(outputs).KnownBy(from), site ?? ObjectOf(layers[0])?.MadeBy));
    }

    private (Value In, Value Out) WidthsOf(Value layer)
    {
        if (layer is Unknown unknown) return (unknown, unknown);
        if (ObjectOf(layer) is not { } found) return (NotFollowed, NotFollowed);
        var members = found.Type is INamedTypeSymbol type ? knowledge.WidthMembersOf(type) : null;
        return (WidthOf(found.Widths?.In, members?.In), WidthOf(found.Widths?.Out, members?.Out));

        Value WidthOf(Value? argument, ISymbol? member) =>
            argument is not (null or Unknown) || member is null ? argument ?? NotFollowed : ReadMember((Reference)layer, found, member);
    }

    /// <summary>The outermost call of the analysed body that is being followed.</summary>
    private SyntaxNode? rootCall;

    /// <summary>Where to report what happens at <paramref name="syntax"/>: there, or at the analysed body's call that led to it.</summary>
    private SyntaxNode? Site(SyntaxNode? syntax) => frame.Depth == 0 ? syntax : rootCall;

    private CallScope EnterCall(SyntaxNode? syntax) => new(this, syntax);

    private readonly struct CallScope : IDisposable
    {
        private readonly Interpreter interpreter;
        private readonly SyntaxNode? before;

        public CallScope(Interpreter interpreter, SyntaxNode? syntax)
        {
            this.interpreter = interpreter;
            before = interpreter.rootCall;
            if (interpreter.frame.Depth == 0) interpreter.rootCall = syntax;
        }

        public void Dispose() => interpreter.rootCall = before;
    }

    /// <summary>That the current frame stores a value: whoever stores it decides on it too.</summary>
    private Provenance BoundAt(SyntaxNode? syntax) => new(frame.Depth, frame.Depth == 0 ? syntax : null);

    private static Unknown NotFollowed => new(UnknownReason.NotFollowed);
}
