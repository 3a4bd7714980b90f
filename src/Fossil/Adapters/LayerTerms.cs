using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>The parts that adapters have in one call of a target: for each its layer and the rows of the flattened input that it acts on.</summary>
internal static class LayerTerms
{
    /// <summary>Layers that act on all rows.</summary>
    /// <param name="layers">The layers.</param>
    /// <param name="input">(…, in).</param>
    /// <param name="create">Makes a term of a layer, its first row and their number.</param>
    public static TTerm[] OfLayers<TTerm>(IEnumerable<AdapterLayer> layers, Tensor input, Func<AdapterLayer, long, long, TTerm> create)
    {
        var rows = ShardOperations.Rows(input.shape);
        return [.. layers.Select(layer => create(layer, 0, rows))];
    }

    /// <summary>A mixed batch, whose rows are counted by the first dimension.</summary>
    /// <param name="runs">The runs; those of the base alone have no term.</param>
    /// <param name="input">(batch, …, in).</param>
    /// <param name="create">Makes a term of a layer, its first row and their number.</param>
    public static TTerm[] OfRuns<TTerm>(IReadOnlyList<RowRun> runs, Tensor input, Func<AdapterLayer, long, long, TTerm> create)
    {
        var inner = ShardOperations.Rows([1, .. input.shape.AsSpan(1)]);
        return [.. runs.Where(run => run.Layer is not null).Select(run => create(run.Layer!, run.Start * inner, run.Count * inner))];
    }
}
