using static TorchSharp.torch;

namespace Fossil.Methods.Fossil;

/// <summary>One adapter's part in a call: for some rows of the flattened input, y += S D.</summary>
/// <param name="Layer">The layer whose shard it is.</param>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many rows.</param>
/// <param name="Dropout">Probability of an input element to be dropped before the sum; 0 while not training.</param>
/// <param name="Seed">What the dropout mask is drawn from, so that the backward pass draws it again instead of keeping it.</param>
internal readonly record struct ShardTerm(ShardLayer Layer, long Start, long Count, double Dropout, long Seed)
{
    /// <summary>The term of <paramref name="layer"/>, with a new dropout mask where it is training.</summary>
    public static ShardTerm Of(ShardLayer layer, long start, long count)
    {
        var dropout = layer.Config.Dropout;
        if (dropout <= 0 || !layer.Target.Module.training) return new ShardTerm(layer, start, count, 0, 0);

        // Drawn from torch's generator: torch.manual_seed makes it repeatable.
        using var seed = randint(long.MaxValue, 1, dtype: ScalarType.Int64);
        return new ShardTerm(layer, start, count, dropout, seed.item<long>());
    }

    /// <summary>The shard sum that the term needs. All terms of a shard size share one over all rows, except where dropout changes x.</summary>
    public ShardSumKey SumKey(long rows) =>
        Dropout > 0 ? new ShardSumKey(Layer.ShardSize, Start, Count, Dropout, Seed) : new ShardSumKey(Layer.ShardSize, 0, rows, 0, 0);
}
