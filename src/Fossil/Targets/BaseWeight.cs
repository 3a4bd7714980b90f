using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>The 2-D weight (out, in) and the bias of a target, read anew each time: <c>.to</c> replaces both.</summary>
internal static class BaseWeight
{
    /// <summary>The name of the weight in its module.</summary>
    public const string Name = "weight";

    /// <summary>The name of the bias in its module.</summary>
    public const string BiasName = "bias";

    /// <summary>The weight of <paramref name="module"/>, as parameter or buffer; null where it has none.</summary>
    public static Tensor? Find(nn.Module module) => module switch
    {
        Linear linear => linear.weight,
        TiedLinear tied => tied.Weight,
        _ => Find(module, Name),
    };

    /// <summary>The bias (out) of <paramref name="module"/>, if any.</summary>
    public static Tensor? FindBias(nn.Module module) => module is Linear linear ? linear.bias : Find(module, BiasName);

    /// <summary>Whether the weight's rows (entries, width) are looked up by index, so that LoRA's factors are those of its transpose.</summary>
    public static bool IsEmbedding(nn.Module module) => module is Embedding or IEmbedding;

    /// <summary>
    /// Whether <paramref name="module"/> computes y = x Wᵀ + b with a 2-D weight W. Of TorchSharp's own layers only Linear does: an Embedding's weight has two dimensions
    /// too, and so may a LayerNorm's. What the user wrote is taken at its word.
    /// </summary>
    public static bool IsLinear(nn.Module module) =>
        module is Linear || (module is nn.Module<Tensor, Tensor> && !IsEmbedding(module) && !IsTorchSharpLayer(module.GetType()) && Find(module) is { } weight && weight.dim() == 2);

    private static bool IsTorchSharpLayer(Type? type)
    {
        for (; type is not null; type = type.BaseType)
        {
            if (type.Assembly == typeof(Linear).Assembly && type.Namespace == typeof(Linear).Namespace) return true;
        }
        return false;
    }

    private static Tensor? Find(nn.Module module, string name) => (Tensor?)module.get_parameter(name) ?? module.get_buffer(name);
}
