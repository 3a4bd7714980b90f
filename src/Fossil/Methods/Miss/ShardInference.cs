using Fossil.Adapters;
using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>The short way for a decoding step: one Balance adapter, a row or a few, and no gradient.</summary>
internal static class ShardInference
{
    /// <summary>The target's output with <paramref name="layers"/>; null where <see cref="ShardCall"/> has to do it.</summary>
    public static Tensor? TryRun(AdaptedTarget target, Tensor input, IReadOnlyList<AdapterLayer> layers)
    {
        if (is_grad_enabled() || layers is not [ShardLayer layer] || target.Base is not { Frozen: not null, Bias: null } linear) return null;
        var shape = input.shape;
        if (input.numel() > IFewRowsProduct.MostRows * shape[^1] || (layer.Config.Dropout > 0 && linear.IsTraining)) return null;

        var shard = layer.Shard;
        var width = linear.OutFeatures;
        using var rows = input.reshape(-1, shape[^1]);
        if (rows.size(0) == 1 && input.dtype == ScalarType.BFloat16 && linear is { IsPlain: true, Weight: FloatWeight weight })
        {
            var one = empty([.. shape[..^1], width], dtype: input.dtype, device: input.device);
            using var flatOne = one.view(1, -1);
            if (KernelRegistry.TryRun<IOneRowProduct>(layer.ShardSize, [flatOne, rows, weight.Tensor, shard], static (kernel, m) => kernel.TryRun(m[0], m[1], m[2], m[3]))) return one;
            one.Dispose();
        }

        var output = linear.Forward(input);
        using var flat = output.view(-1, width);
        if (KernelRegistry.TryRun<IFewRowsProduct>(layer.ShardSize, [flat, rows, shard], static (kernel, m) => kernel.TryAddOfFewRows(m[0], m[1], m[2]))) return output;
        output.Dispose();
        return null;
    }
}
