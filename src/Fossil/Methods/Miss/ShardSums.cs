using Fossil.Autograd;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>The shard sums of an input, each made once for all that read it, and their gradients.</summary>
internal sealed class ShardSums
{
    private readonly OrderedDictionary<(ShardSumKey Key, ScalarType Dtype), CallTensor> sums = [];
    private readonly OrderedDictionary<ShardSumKey, Tensor> gradients = [];

    /// <summary>The key of the only sum; null where there are several.</summary>
    public ShardSumKey? Only => sums.Count == 1 ? sums.GetAt(0).Key.Key : null;

    /// <summary>Makes a sum where it is not there.</summary>
    /// <param name="key">Which.</param>
    /// <param name="dtype">The dtype that it is kept in.</param>
    /// <param name="compute">Makes it.</param>
    public void GetOrAdd(ShardSumKey key, ScalarType dtype, Func<CallTensor> compute)
    {
        if (!sums.ContainsKey((key, dtype))) sums.Add((key, dtype), compute());
    }

    /// <summary>A sum: that of <paramref name="dtype"/>, or the only one there is.</summary>
    public Tensor Of(ShardSumKey key, ScalarType dtype) => (sums.TryGetValue((key, dtype), out var sum) ? sum : sums.First(entry => entry.Key.Key == key).Value).Value;

    /// <summary>Adds the gradient of a term's rows of a sum.</summary>
    public void AddGradient(ShardSumKey key, Tensor gradient, ShardTerm term) => gradients[key] = key.Accumulate(gradients.GetValueOrDefault(key), gradient, term);

    /// <summary>The gradients of the sums, once.</summary>
    public (ShardSumKey Key, Tensor Gradient)[] TakeGradients()
    {
        (ShardSumKey, Tensor)[] taken = [.. gradients.Select(entry => (entry.Key, entry.Value))];
        gradients.Clear();
        return taken;
    }
}
