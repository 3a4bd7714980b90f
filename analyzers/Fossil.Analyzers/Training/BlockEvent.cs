using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

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

    /// <summary><c>adapted.SavePretrained(folder)</c> and the like.</summary>
    SaveAdapter,

    /// <summary><c>return model</c>, <c>return adapted.Model</c> or <c>return adapted</c>.</summary>
    Return,
}

/// <summary>One event.</summary>
/// <param name="Kind">What happens.</param>
/// <param name="Subject">The variable or member that holds the model, adapted model or optimizer; null where it is none.</param>
/// <param name="Result">The variable or member that the result goes to.</param>
/// <param name="Operation">Where to report it.</param>
internal sealed record BlockEvent(EventKind Kind, Subject? Subject, Subject? Result, IOperation Operation)
{
    /// <summary>The parameters of the whole model that an optimizer is made over; null where it is made over those of the adapters.</summary>
    public OptimizerParameters? Parameters { get; init; }

    /// <summary>Where it happens: what a local function does happens where the function is called.</summary>
    public SyntaxNode At { get; init; } = Operation.Syntax;

    /// <summary>Where the <c>using</c> statement ends that holds the result.</summary>
    private int End => At.Ancestors().OfType<UsingStatementSyntax>()
        .FirstOrDefault(used => (used.Declaration as SyntaxNode ?? used.Expression)?.Span.Contains(At.Span) == true)?.Span.End ?? int.MaxValue;

    /// <summary>
    /// Whether this happens before <paramref name="later"/> on each way there that does not leave the statements around this one.
    /// </summary>
    public bool Precedes(BlockEvent later) => SourceOrder.Precedes(At, later.At) && later.At.SpanStart < End;

    /// <summary>Whether this happens before <paramref name="later"/> at least where the conditions around it hold.</summary>
    public bool MayPrecede(BlockEvent later) => SourceOrder.MayPrecede(At, later.At) && later.At.SpanStart < End;

    /// <summary>Whether this stands between the two others in the source; of what one call of a local function does, in that.</summary>
    public bool IsBetween(BlockEvent first, BlockEvent last) => IsAfter(first) && last.IsAfter(this);

    private bool IsAfter(BlockEvent other) => At.SpanStart != other.At.SpanStart ? At.SpanStart > other.At.SpanStart : Operation.Syntax.SpanStart > other.Operation.Syntax.SpanStart;
}
