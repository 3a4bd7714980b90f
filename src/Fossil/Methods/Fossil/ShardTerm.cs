using Fossil.Kernels;

namespace Fossil.Methods.Fossil;

/// <summary>One adapter's part in a call: for some rows of the flattened input, y += S D.</summary>
/// <param name="Layer">The layer whose shard it is.</param>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many rows.</param>
/// <param name="Dropout">What is dropped of the input before the sum.</param>
internal readonly record struct ShardTerm(ShardLayer Layer, long Start, long Count, DropoutMask Dropout)
{
    /// <summary>The term of <paramref name="layer"/>, with a new dropout mask where it is training.</summary>
    public static ShardTerm Of(ShardLayer layer, long start, long count) => new(layer, start, count, DropoutMask.Draw(layer.Config.Dropout, layer.Target.Module));

    /// <summary>The shard sum that the term needs. All terms of a shard size share one over all rows, except where dropout changes x.</summary>
    public ShardSumKey SumKey(long rows) => Dropout.IsNone ? new ShardSumKey(Layer.ShardSize, 0, rows, Dropout) : new ShardSumKey(Layer.ShardSize, Start, Count, Dropout);
}
