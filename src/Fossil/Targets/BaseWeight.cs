using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>The 2-D weight (out, in) and the bias of a target, read anew each time: <c>.to</c> replaces both.</summary>
internal static class BaseWeight
{
    /// <summary>The weight of <paramref name="module"/>, as parameter or buffer; null where it has none.</summary>
    public static Tensor? Find(nn.Module module) =>
        module is Linear linear ? linear.weight : (Tensor?)module.get_parameter("weight") ?? module.get_buffer("weight");

    /// <summary>The bias (out) of <paramref name="module"/>, if any.</summary>
    public static Tensor? FindBias(nn.Module module) =>
        module is Linear linear ? linear.bias : (Tensor?)module.get_parameter("bias") ?? module.get_buffer("bias");

    /// <summary>
    /// Whether <paramref name="module"/> computes y = x Wᵀ + b with a 2-D weight W. Of TorchSharp's own layers only Linear does: an Embedding's weight has two dimensions
    /// too, and so may a LayerNorm's. What the user wrote is taken at its word.
    /// </summary>
    public static bool IsLinear(nn.Module module) =>
        module is Linear || (module is nn.Module<Tensor, Tensor> && !IsTorchSharpLayer(module.GetType()) && Find(module) is { } weight && weight.dim() == 2);

    private static bool IsTorchSharpLayer(Type? type)
    {
        for (; type is not null; type = type.BaseType)
        {
            if (type.Assembly == typeof(Linear).Assembly && type.Namespace == typeof(Linear).Namespace) return true;
        }
        return false;
    }
}
