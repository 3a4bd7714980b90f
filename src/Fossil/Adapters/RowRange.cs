using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>Consecutive rows of an input that is flattened to two dimensions.</summary>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many rows.</param>
internal readonly record struct RowRange(long Start, long Count)
{
    /// <summary>All rows of <paramref name="input"/> (…, in).</summary>
    public static RowRange All(Tensor input) => new(0, ShardOperations.Rows(input.shape));

    /// <summary>These rows of <paramref name="flat"/>, which has all: itself, or a view.</summary>
    public Tensor Of(Tensor flat) => Count == flat.shape[0] ? flat : flat.narrow(0, Start, Count);
}
