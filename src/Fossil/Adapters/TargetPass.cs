using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>What a method's forward pass gets: a target, its input, and the layers that act on it, which are all of that method.</summary>
/// <param name="Target">The target.</param>
/// <param name="Input">(…, in), in the base weight's dtype, or any with <see cref="AdaptedModel.Bf16Products"/>; of an embedding the indices.</param>
/// <param name="Layers">The layers, each with the rows of the flattened input that it acts on, in order. In a mixed batch the rows of different layers do not overlap; otherwise all act on all.</param>
/// <param name="Before">The output (…, out) for an input without these layers, where layers of other methods act before them; null where the base alone does.</param>
internal sealed record TargetPass(AdaptedTarget Target, Tensor Input, IReadOnlyList<LayerRows> Layers, Func<Tensor, Tensor>? Before = null)
{
    /// <summary>Layers that act on all rows.</summary>
    public static TargetPass Of(AdaptedTarget target, Tensor input, IEnumerable<AdapterLayer> layers, Func<Tensor, Tensor>? before = null)
    {
        var rows = RowRange.All(input);
        return new TargetPass(target, input, [.. layers.Select(layer => new LayerRows(layer, rows))], before);
    }

    /// <summary>The output without the layers. The caller owns it.</summary>
    public Tensor WithoutLayers() => Before?.Invoke(Input) ?? Target.Base.Forward(Input);

    /// <summary>The same pass with some of its layers, on an output that is there already and stays the caller's.</summary>
    public TargetPass On(Tensor output, Func<AdapterLayer, bool> choose) => this with { Layers = [.. Layers.Where(entry => choose(entry.Layer))], Before = _ => output.alias() };

    /// <summary>A mixed batch, whose rows are counted by the first dimension; those of the base alone have no layer.</summary>
    public static TargetPass Of(AdaptedTarget target, Tensor input, IReadOnlyList<RowRun> runs)
    {
        var inner = ShardOperations.Rows([1, .. input.shape.AsSpan(1)]);
        return new TargetPass(target, input, [.. runs.Where(run => run.Layer is not null).Select(run => new LayerRows(run.Layer!, new RowRange(run.Start * inner, run.Count * inner)))]);
    }
}

/// <summary>A layer and the rows of the flattened input that it acts on.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Rows">The rows.</param>
internal readonly record struct LayerRows(AdapterLayer Layer, RowRange Rows);
