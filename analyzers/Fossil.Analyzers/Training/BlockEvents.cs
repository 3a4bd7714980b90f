using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>What happens in one body to an adapted model.</summary>
internal enum EventKind
{
    /// <summary><c>model.AttachAdapters()</c> or <c>model.LoadPretrained(folder)</c>.</summary>
    Attach,

    /// <summary>A TorchSharp optimizer over the parameters of a module.</summary>
    MakeOptimizer,

    /// <summary>A use of an optimizer.</summary>
    UseOptimizer,

    /// <summary><c>model.to(…)</c> and the like.</summary>
    Move,

    /// <summary><c>adapted.Merge()</c>.</summary>
    Merge,

    /// <summary><c>adapted.Dispose()</c> or <c>MergeAndUnload()</c>: the adapters are gone.</summary>
    Detach,

    /// <summary>The adapted model is given to other code, which may do anything of this with it.</summary>
    HandOver,

    /// <summary><c>adapted.Unmerge()</c>.</summary>
    Unmerge,

    /// <summary><c>loss.backward()</c> or <c>optimizer.step()</c>.</summary>
    Train,

    /// <summary><c>model.save(path)</c>.</summary>
    Save,
}

/// <summary>One event.</summary>
/// <param name="Kind">What happens.</param>
/// <param name="Subject">The variable or member that holds the model, adapted model or optimizer; null where it is none.</param>
/// <param name="Result">The variable or member that the result goes to.</param>
/// <param name="Operation">Where.</param>
internal sealed record BlockEvent(EventKind Kind, ISymbol? Subject, ISymbol? Result, IOperation Operation)
{
    /// <summary>The parameters of the whole model that an optimizer is made over; null where it is made over those of the adapters.</summary>
    public OptimizerParameters? Parameters { get; init; }

    /// <summary>Where the <c>using</c> statement ends that holds the result.</summary>
    private int End => Operation.Syntax.Ancestors().OfType<UsingStatementSyntax>()
        .FirstOrDefault(used => (used.Declaration as SyntaxNode ?? used.Expression)?.Span.Contains(Operation.Syntax.Span) == true)?.Span.End ?? int.MaxValue;

    /// <summary>
    /// Whether this happens before <paramref name="later"/> on each way there that does not leave the statements around this one.
    /// </summary>
    public bool Precedes(BlockEvent later)
    {
        var here = Operation.Syntax;
        var there = later.Operation.Syntax;
        if (here.SpanStart >= there.SpanStart || here.SyntaxTree != there.SyntaxTree) return false;
        var around = here.FirstAncestorOrSelf<StatementSyntax>()?.Parent;
        if (around is GlobalStatementSyntax) around = around.Parent;
        return around is not null && around.Span.Contains(there.Span) && there.SpanStart < End;
    }

    /// <summary>Whether this stands between the two others in the source.</summary>
    public bool IsBetween(BlockEvent first, BlockEvent last) =>
        Operation.Syntax.SpanStart > first.Operation.Syntax.SpanStart && Operation.Syntax.SpanStart < last.Operation.Syntax.SpanStart;
}

/// <summary>The events of one body, in the order of the source.</summary>
internal sealed class BlockEvents(TrainingTypes types)
{
    private readonly List<BlockEvent> events = [];

    public IReadOnlyList<BlockEvent> InOrder => [.. events.OrderBy(one => one.Operation.Syntax.SpanStart)];

    public IEnumerable<BlockEvent> Of(EventKind kind) => InOrder.Where(one => one.Kind == kind);

    /// <summary>The latest <c>AttachAdapters</c> whose adapters are on <paramref name="model"/> for certain when <paramref name="later"/> happens.</summary>
    public BlockEvent? AttachBefore(BlockEvent later, ISymbol model) => Of(EventKind.Attach).LastOrDefault(attach =>
        (WellKnownTypes.Same(attach.Subject, model) || WellKnownTypes.Same(attach.Result, model)) && attach.Precedes(later)
        && !events.Any(other => other.Kind is EventKind.Detach or EventKind.HandOver && WellKnownTypes.Same(other.Subject, attach.Result) && other.IsBetween(attach, later)));

    /// <summary>Whether <paramref name="use"/> is of the optimizer that <paramref name="made"/> made, and no other took its variable in between.</summary>
    public bool IsUseOf(BlockEvent use, BlockEvent made) => WellKnownTypes.Same(use.Subject, made.Result)
        && !Of(EventKind.MakeOptimizer).Any(other => WellKnownTypes.Same(other.Result, made.Result) && other.IsBetween(made, use));

    /// <summary>Adds what <paramref name="operation"/> does. Bodies are visited concurrently, one body is not.</summary>
    public void Visit(IOperation operation)
    {
        if (Read(operation) is not { } found) return;
        lock (events) events.Add(found);
    }

    private BlockEvent? Read(IOperation operation)
    {
        if (operation is ILocalReferenceOperation or IFieldReferenceOperation or IParameterReferenceOperation)
        {
            if (types.IsAdapted(operation.Type)) return operation.Parent is IArgumentOperation ? new BlockEvent(EventKind.HandOver, SymbolOf(operation), null, operation) : null;
            return types.IsOptimizer(operation.Type) && !IsTarget(operation) ? new BlockEvent(EventKind.UseOptimizer, SymbolOf(operation), null, operation) : null;
        }
        if (types.IsOptimizer(operation.Type) && OptimizerParameters.Of(operation, types) is { } made)
        {
            var isAll = !types.IsAdapted(made.Call.Instance?.Type);
            return new BlockEvent(EventKind.MakeOptimizer, SymbolOf(made.Call.Instance), ResultOf(operation), operation) { Parameters = isAll ? made : null };
        }
        if (operation is not IInvocationOperation invocation) return null;
        var method = invocation.TargetMethod;
        var receiver = invocation.Instance ?? (method.IsExtensionMethod ? invocation.Arguments.FirstOrDefault()?.Value : null);
        if (method.Name is "AttachAdapters" or "LoadPretrained" && types.IsAdapted(method.ReturnType)) return Event(EventKind.Attach);
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
        return method.Name switch
        {
            "to" or "cuda" or "cpu" or "half" or "type" => Event(EventKind.Move),
            "save" => Event(EventKind.Save),
            _ => null,
        };

        BlockEvent Event(EventKind kind) => new(kind, SymbolOf(receiver), ResultOf(operation), operation);
    }

    private static bool IsTarget(IOperation reference) => reference.Parent is IAssignmentOperation assignment && ReferenceEquals(assignment.Target, reference);

    /// <summary>The expression behind conversions and parentheses.</summary>
    public static IOperation Unwrap(IOperation value) => value switch
    {
        IConversionOperation conversion => Unwrap(conversion.Operand),
        IParenthesizedOperation parenthesized => Unwrap(parenthesized.Operand),
        _ => value,
    };

    /// <summary>The variable or member that an expression names; the model of <c>adapted.Model</c> is that of the adapted model.</summary>
    public static ISymbol? SymbolOf(IOperation? value) => value is null ? null : Unwrap(value) switch
    {
        ILocalReferenceOperation local => local.Local,
        IParameterReferenceOperation parameter => parameter.Parameter,
        IFieldReferenceOperation field => field.Field,
        IPropertyReferenceOperation { Property.Name: "Model" } property when property.Property.ContainingType?.Name == "AdaptedModel" => SymbolOf(property.Instance),
        IPropertyReferenceOperation property => property.Property,
        _ => null,
    };

    private static ISymbol? ResultOf(IOperation operation)
    {
        for (var current = operation.Parent; current is not null; current = current.Parent)
        {
            switch (current)
            {
                case IConversionOperation or IVariableInitializerOperation or IParenthesizedOperation: continue;
                case IVariableDeclaratorOperation declarator: return declarator.Symbol;
                case IAssignmentOperation assignment: return SymbolOf(assignment.Target);
                default: return null;
            }
        }
        return null;
    }
}
