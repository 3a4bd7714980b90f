using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>The events of one body, in the order of the source.</summary>
/// <param name="types">The types that events are about.</param>
/// <param name="owner">The method, accessor or initialiser that the body is of.</param>
internal sealed class BlockEvents(TrainingTypes types, ISymbol owner)
{
    /// <summary>Local functions that call each other are followed so far.</summary>
    private const int MaxCalls = 3;

    /// <summary>The calls of one local function that are told apart.</summary>
    private const int MaxPlaces = 16;

    private readonly List<BlockEvent> found = [];
    private readonly Aliases aliases = new(types);

    /// <summary>The places where each local function is called, or made a delegate of.</summary>
    private readonly Dictionary<SyntaxNode, List<SyntaxNode>> calls = [];

    private readonly HashSet<ISymbol> called = new(SymbolEqualityComparer.Default);

    private IReadOnlyList<BlockEvent> events = [];
    private ILookup<EventKind, BlockEvent> byKind = Array.Empty<BlockEvent>().ToLookup(one => one.Kind);

    /// <summary>The method, accessor or member that the body is of.</summary>
    public ISymbol Owner => owner;

    /// <summary>Whether the body runs when an object is made.</summary>
    public bool IsConstruction => owner is IMethodSymbol { MethodKind: MethodKind.Constructor } or IFieldSymbol or IPropertySymbol;

    /// <summary>What has attached adapters before the body runs.</summary>
    public IReadOnlyList<BlockEvent> AttachedBefore { get; set; } = [];

    public IReadOnlyList<BlockEvent> InOrder => events;

    public IEnumerable<BlockEvent> Of(EventKind kind) => byKind[kind];

    /// <summary>The latest <c>AttachAdapters</c> whose adapters are on <paramref name="model"/> for certain when <paramref name="later"/> happens.</summary>
    public BlockEvent? AttachBefore(BlockEvent later, Subject model) => Of(EventKind.Attach).LastOrDefault(attach =>
        (Equals(attach.Subject, model) || Equals(attach.Result, model)) && attach.Precedes(later)
        && !events.Any(other => other.Kind is EventKind.Detach or EventKind.HandOver && Equals(other.Subject, attach.Result) && other.IsBetween(attach, later)))
        ?? AttachedBefore.FirstOrDefault(attach => Equals(attach.Subject, model) || Equals(attach.Result, model));

    /// <summary>A subject, and the read-only members that the body gives the same value.</summary>
    public IEnumerable<Subject> NamesOf(Subject? subject) => subject is null ? [] : aliases.NamesOf(subject).Where(name => name.IsReadOnly).Append(subject);

    /// <summary>Whether an optimizer is made over parameters of a model: that of the variable, or the one that the other variable of an <c>AttachAdapters</c> holds.</summary>
    public bool IsOver(BlockEvent optimizer, Subject model) => Equals(optimizer.Subject, model)
        || Of(EventKind.Attach).Any(attach => (Equals(attach.Subject, model) && Equals(attach.Result, optimizer.Subject)) || (Equals(attach.Result, model) && Equals(attach.Subject, optimizer.Subject)));

    /// <summary>Whether the body calls <paramref name="method"/> on its own object.</summary>
    public bool Calls(ISymbol method) => called.Contains(method);

    /// <summary>Whether an optimizer is used after <paramref name="change"/>, and no other took its variable in between.</summary>
    public bool IsUsedAfter(BlockEvent change, BlockEvent optimizer, Func<BlockEvent, BlockEvent, bool> precedes)
    {
        if (optimizer.Result is not { } variable) return false;
        if (Of(EventKind.UseOptimizer).Any(use => Equals(use.Subject, variable) && precedes(change, use) && !IsMadeAgain(use))) return true;
        // What a constructor leaves in a read-only member is used by the methods.
        return variable.IsReadOnly && owner is IMethodSymbol { MethodKind: MethodKind.Constructor } && !IsMadeAgain(null);

        bool IsMadeAgain(BlockEvent? before) => Of(EventKind.MakeOptimizer).Any(other => Equals(other.Result, variable)
            && (before is null ? other.At.SpanStart > optimizer.At.SpanStart : other.IsBetween(optimizer, before)));
    }

    /// <summary>Adds what <paramref name="operation"/> does. Bodies are visited concurrently, one body is not.</summary>
    public void Visit(IOperation operation)
    {
        lock (found)
        {
            aliases.Visit(operation);
            if (CalledFunction(operation) is { } function)
            {
                if (!calls.TryGetValue(function, out var places)) calls.Add(function, places = []);
                places.Add(operation.Syntax);
            }
            if (operation is IInvocationOperation { Instance: IInstanceReferenceOperation } own) called.Add(own.TargetMethod);
            if (Read(operation) is { } one) found.Add(one);
        }
    }

    /// <summary>Orders the events, once all operations are visited.</summary>
    public void Complete()
    {
        var named = found.Select(one => one with { Subject = aliases.Resolve(one.Subject), Result = aliases.Resolve(one.Result) }).ToList();
        events = [.. named.SelectMany(one => AtCalls(one, MaxCalls)).OrderBy(one => one.At.SpanStart)];
        byKind = events.ToLookup(one => one.Kind);
    }

    /// <summary>An event, and the same where the local function is called that it is in.</summary>
    private IEnumerable<BlockEvent> AtCalls(BlockEvent one, int depth)
    {
        yield return one;
        var function = SourceOrder.FunctionAround(one.At);
        while (function is { Parent: ArgumentSyntax }) function = SourceOrder.FunctionAround(function);
        if (depth == 0 || function is null || !calls.TryGetValue(function, out var places)) yield break;
        foreach (var place in places.Where(place => !function.Span.Contains(place.Span)).OrderBy(place => place.SpanStart).Take(MaxPlaces))
        {
            foreach (var copy in AtCalls(one with { At = place }, depth - 1)) yield return copy;
        }
    }

    private static SyntaxNode? CalledFunction(IOperation operation)
    {
        var method = operation switch
        {
            IInvocationOperation invocation => invocation.TargetMethod,
            IMethodReferenceOperation reference => reference.Method,
            _ => null,
        };
        return method is { MethodKind: MethodKind.LocalFunction, DeclaringSyntaxReferences: [var declared] } ? declared.GetSyntax() : null;
    }

    private BlockEvent? Read(IOperation operation)
    {
        if (operation is ILocalReferenceOperation or IFieldReferenceOperation or IParameterReferenceOperation)
        {
            if ((types.IsAdapted(operation.Type) || types.IsModule(operation.Type)) && IsReturned(operation)) return new BlockEvent(EventKind.Return, Subject.Of(operation), null, operation);
            if (types.IsAdapted(operation.Type)) return operation.Parent is IArgumentOperation ? new BlockEvent(EventKind.HandOver, Subject.Of(operation), null, operation) : null;
            return types.IsOptimizer(operation.Type) && IsUse(operation) ? new BlockEvent(EventKind.UseOptimizer, Subject.Of(operation), null, operation) : null;
        }
        if (types.IsOptimizer(operation.Type) && OptimizerParameters.Of(operation, types) is { } made)
        {
            var isAll = !types.IsAdapted(made.Call.Instance?.Type);
            return new BlockEvent(EventKind.MakeOptimizer, Subject.Of(made.Call.Instance), ResultOf(operation), operation) { Parameters = isAll ? made : null };
        }
        if (operation is not IInvocationOperation invocation) return null;
        var method = invocation.TargetMethod;
        var receiver = TrainingTypes.ReceiverOf(invocation);
        if (method.Name is "AttachAdapters" or "LoadPretrained" && types.IsAdapted(method.ReturnType)) return Event(EventKind.Attach);
        if (types.IsAdapted(receiver?.Type) && method.Name.StartsWith("Save", StringComparison.Ordinal)) return Event(EventKind.SaveAdapter);
        if (types.IsAdapted(method.ContainingType))
        {
            return method.Name switch
            {
                "Merge" => Event(EventKind.Merge),
                "Unmerge" => Event(EventKind.Unmerge),
                "Dispose" or "MergeAndUnload" or "Unload" => Event(EventKind.Detach),
                "CreateOptimizer" => Event(EventKind.MakeOptimizer),
                _ => null,
            };
        }
        // An optimizer may be of this library, or the user's own.
        if (method.Name == "step" && types.IsOptimizer(receiver?.Type)) return Event(EventKind.Train);
        if (method.ContainingAssembly?.Name != "TorchSharp") return null;
        if (method.Name == "backward" && types.IsTensor(receiver?.Type)) return Event(EventKind.Train);
        if (!types.IsModule(receiver?.Type)) return null;
        return TrainingTypes.IsMove(method) ? Event(EventKind.Move) : method.Name == "save" ? Event(EventKind.Save) : null;

        BlockEvent Event(EventKind kind) => new(kind, Subject.Of(receiver), ResultOf(operation), operation);
    }

    private static bool IsReturned(IOperation value) => value.Parent switch
    {
        IReturnOperation => true,
        IConversionOperation or IParenthesizedOperation or IPropertyReferenceOperation { Property: { Name: "Model", ContainingType.Name: "AdaptedModel" } } => IsReturned(value.Parent),
        _ => false,
    };

    /// <summary>Whether an optimizer is stepped, or given to code that may do so; to dispose of it is no use.</summary>
    private static bool IsUse(IOperation reference) => reference.Parent switch
    {
        IInvocationOperation { TargetMethod.Name: var called } invocation => ReferenceEquals(invocation.Instance, reference) && called is "step" or "zero_grad",
        IConversionOperation conversion => IsUse(conversion),
        IAssignmentOperation assignment => ReferenceEquals(assignment.Value, reference),
        IArgumentOperation or IReturnOperation or IVariableInitializerOperation or IConditionalAccessOperation => true,
        _ => false,
    };

    private static Subject? ResultOf(IOperation operation)
    {
        for (var current = operation.Parent; current is not null; current = current.Parent)
        {
            switch (current)
            {
                case IConversionOperation or IVariableInitializerOperation or IParenthesizedOperation or IConditionalOperation or ICoalesceOperation or ISwitchExpressionOperation or ISwitchExpressionArmOperation: continue;
                case IVariableDeclaratorOperation declarator: return new Subject(declarator.Symbol, null);
                case IAssignmentOperation assignment: return Subject.Of(assignment.Target);
                case IFieldInitializerOperation { InitializedFields: [var field] }: return new Subject(field, null);
                case IPropertyInitializerOperation { InitializedProperties: [var property] }: return new Subject(property, null);
                default: return null;
            }
        }
        return null;
    }
}
