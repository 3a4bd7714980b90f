using System.Collections.Immutable;
using Fossil.Training;

namespace Fossil.Kernels;

/// <summary>
/// Which rows of a step's batch a forward pass computes, so that dropout is drawn for each by the step, the layer and the row: however the rows are divided over passes and processes, each gets its own mask.
/// </summary>
internal sealed class DropoutRows : IDisposable
{
    [ThreadStatic]
    private static DropoutRows? current;

    private readonly DropoutRows? before = current;
    private readonly ulong key;
    private ImmutableDictionary<string, int> draws = ImmutableDictionary<string, int>.Empty;

    private DropoutRows(ulong key, long first, long count) => (this.key, First, Count) = (key, first, count);

    private DropoutRows(DropoutRows same, ImmutableDictionary<string, int> draws)
        : this(same.key, same.First, same.Count) => this.draws = draws;

    /// <summary>Those of the pass on this thread; null where nobody says it.</summary>
    public static DropoutRows? Current => current;

    /// <summary>How often each layer has drawn.</summary>
    public IReadOnlyDictionary<string, int> Draws => draws;

    /// <summary>The first row's number.</summary>
    public long First { get; }

    /// <summary>How many rows there are.</summary>
    public long Count { get; }

    /// <summary>Says which rows the passes on this thread compute, until the result is disposed.</summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="step">The step.</param>
    /// <param name="batch">Which of the step's batches the rows are of.</param>
    /// <param name="first">The first row's number in that batch.</param>
    /// <param name="count">How many rows there are.</param>
    public static DropoutRows Use(int seed, int step, int batch, long first, long count) => current = new(DataOrder.Scramble(DataOrder.Mix(seed, step) + (ulong)batch), first, count);

    /// <summary>What the next masks of a layer are drawn from.</summary>
    public long SeedOf(string layer)
    {
        var draw = draws.GetValueOrDefault(layer);
        draws = draws.SetItem(layer, draw + 1);
        var mixed = key;
        foreach (var letter in layer) mixed = DataOrder.Scramble(mixed + letter);

        // The complement, so that no draw is another layer's letter.
        return (long)(DataOrder.Scramble(~mixed + (ulong)draw) >> 1);
    }

    /// <summary>Activations are computed again, on this thread: until the result is disposed, layers draw as they did when they had drawn so often.</summary>
    public IDisposable Again(IReadOnlyDictionary<string, int> draws) => current = new DropoutRows(this, (ImmutableDictionary<string, int>)draws);

    /// <inheritdoc/>
    public void Dispose() => current = before;
}
