using Fossil.Adapters;
using Fossil.Kernels;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Methods.Fossil;

/// <summary>The short way for a decoding step: one Balance adapter, a row or a few, and no gradient.</summary>
internal static class ShardInference
{
    /// <summary>The target's output with <paramref name="layers"/>; null where <see cref="ShardCall"/> has to do it.</summary>
    public static Tensor? TryRun(AdaptedTarget target, Tensor input, IReadOnlyList<AdapterLayer> layers)
    {
        if (is_grad_enabled() || layers is not [ShardLayer layer] || target.Module is not Linear { bias: null } linear) return null;
        var shape = input.shape;
        if (input.numel() > ShardProducts.FewRows * shape[^1] || (layer.Config.Dropout > 0 && linear.training)) return null;

        var shard = layer.Shard;
        using var rows = input.reshape(-1, shape[^1]);
        if (rows.shape[0] == 1 && input.dtype == ScalarType.BFloat16)
        {
            var one = empty([.. shape[..^1], linear.out_features], dtype: input.dtype, device: input.device);
            using var flatOne = one.view(1, -1);
            if (OneRowProduct.TryRun(flatOne, rows, linear.weight, shard)) return one;
            one.Dispose();
        }

        var output = linear.forward(input);
        using var flat = output.view(-1, linear.out_features);
        if (ShardProducts.TryAddOfFewRows(flat, rows, shard)) return output;
        output.Dispose();
        return null;
    }
}
