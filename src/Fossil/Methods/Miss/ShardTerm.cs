using Fossil.Adapters;
using Fossil.Kernels;

namespace Fossil.Methods.Miss;

/// <summary>One adapter's part in a call: for some rows of the flattened input, y += S D.</summary>
/// <param name="Layer">The layer whose shard it is.</param>
/// <param name="Rows">The rows.</param>
/// <param name="Dropout">What is dropped of the input before the sum.</param>
internal readonly record struct ShardTerm(ShardLayer Layer, RowRange Rows, DropoutMask Dropout) : ICallTerm
{
    /// <summary>The term of a layer, with a new dropout mask where it is training.</summary>
    public static ShardTerm Of(LayerRows part)
    {
        var layer = (ShardLayer)part.Layer;
        return new(layer, part.Rows, DropoutMask.Draw(layer.Config.Dropout, layer.Target.Module, layer.Target.Path));
    }

    /// <summary>The shard sum that the term needs. All terms of a shard size share one over all rows, except where dropout changes x.</summary>
    public ShardSumKey SumKey(long rows) => new(Layer.ShardSize, Dropout.IsNone ? new RowRange(0, rows) : Rows, Dropout);
}
