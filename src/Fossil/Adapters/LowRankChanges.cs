using Fossil.Concurrency;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>The change that an adapter makes to one target's weight, as a product B A; of an embedding, to its transposed weight.</summary>
/// <param name="Target">The target.</param>
/// <param name="A">A (k, in).</param>
/// <param name="B">B (out, k).</param>
internal sealed record LowRankChange(AdaptedTarget Target, Tensor A, Tensor B);

/// <summary>The changes that an adapter makes to the weights, exact where they are of low rank as they are, cut to their largest singular values where not.</summary>
internal sealed class LowRankChanges : IDisposable
{
    private readonly List<LowRankChange> changes = [];

    private LowRankChanges()
    {
    }

    /// <summary>One for each layer of the adapter.</summary>
    public IReadOnlyList<LowRankChange> Changes => changes;

    /// <summary>The changes of <paramref name="adapter"/>.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="rank">How many singular values to keep where there is no exact product.</param>
    /// <param name="energy">Instead of a rank: the smallest one that keeps this share, from 0 to 1, of the sum of their squares.</param>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, the adapter trains biases, or its method's changes are none of the weight.</exception>
    public static LowRankChanges Of(AttachedAdapter adapter, int? rank, double? energy)
    {
        adapter.Method.Require(AdapterAbilities.LowRankConversion, adapter.Name, "be converted to LoRA");
        if (adapter.Config.Bias != AdapterBias.None)
            throw new AdapterCombinationException($"'{adapter.Name}' trains biases (bias is {adapter.Config.Bias}), which a converted adapter cannot carry. Only adapters with bias none are converted, as in PEFT.");
        if (rank <= 0 || energy is <= 0 or > 1) throw new AdapterCombinationException($"A rank must be at least 1, and a share of the energy above 0 and at most 1; rank {rank}, energy {energy} were given.");

        var result = new LowRankChanges();
        try
        {
            using var noGrad = no_grad();
            foreach (var layer in adapter.Layers) result.Add(layer, rank, energy);
        }
        catch
        {
            result.Dispose();
            throw;
        }

        return result;
    }

    /// <summary>Releases the factors.</summary>
    public void Dispose()
    {
        foreach (var change in changes)
        {
            change.A.Dispose();
            change.B.Dispose();
        }

        changes.Clear();
    }

    private void Add(AdapterLayer layer, int? rank, double? energy)
    {
        using var scope = NewDisposeScope();
        using var values = layer.CopyValues(ShardOperations.Accumulator(layer.Target.Base.Weight.Dtype));
        var (a, b) = layer.LoraFactors(values) ?? Truncated(layer, values, rank, energy);
        var dtype = layer.Parameters().First().Parameter.dtype;
        changes.Add(new LowRankChange(layer.Target, a.to(dtype).contiguous().DetachFromDisposeScope(), b.to(dtype).contiguous().DetachFromDisposeScope()));
    }

    private static (Tensor A, Tensor B) Truncated(AdapterLayer layer, AdapterValues values, int? rank, double? energy)
    {
        if (rank is null == energy is null)
        {
            throw new AdapterCombinationException(
                $"The change that '{layer.AdapterName}' makes to '{layer.Target.Path}' has no exact form as LoRA: give either a rank or a share of the energy to keep.");
        }

        var weight = layer.Target.Base.Weight.ToTensor(ShardOperations.Accumulator(layer.Target.Base.Weight.Dtype));
        var changed = weight.clone();
        layer.MergeInto(changed, values);
        var (u, s, v) = linalg.svd(changed.sub_(weight), fullMatrices: false);
        var kept = rank ?? RankFor(s, energy!.Value);
        if (kept > s.size(0))
            throw new AdapterCombinationException($"The rank {kept} is larger than the {s.size(0)} singular values that '{layer.Target.Path}' has. Choose a smaller one.");
        return (v.narrow(0, 0, kept), u.narrow(1, 0, kept) * s.narrow(0, 0, kept));
    }

    private static int RankFor(Tensor singularValues, double energy)
    {
        var sums = singularValues.to(ScalarType.Float64).pow(Scalars.Two).cumsum(0);
        var enough = sums.ge(sums[-1].mul(Scalars.Of(energy))).to(ScalarType.Int32);
        return (int)(sums.size(0) - enough.sum().item<long>()) + 1;
    }
}
