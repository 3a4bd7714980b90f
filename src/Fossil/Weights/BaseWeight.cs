using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>Where a module has its weight and bias.</summary>
internal static class BaseWeight
{
    /// <summary>The name of the weight in its module.</summary>
    public const string Name = "weight";

    /// <summary>The name of the bias in its module.</summary>
    public const string BiasName = "bias";

    /// <summary>The weight of <paramref name="module"/> in its form; null where it has none.</summary>
    public static LinearWeight? Of(nn.Module module) => module switch
    {
        ILinearLayer layer => layer.Weight,
        IEmbedding embedding => embedding.Rows,
        _ => Find(module) is { } tensor ? new FloatWeight(tensor) : null,
    };

    /// <summary>The weight of <paramref name="module"/> as a floating-point tensor, parameter or buffer; null where it has none, or in another form.</summary>
    public static Tensor? Find(nn.Module module) => module switch
    {
        Linear linear => linear.weight,
        ILinearLayer or IEmbedding => (Of(module) as FloatWeight)?.Tensor,
        _ => Find(module, Name),
    };

    /// <summary>The bias (out) of <paramref name="module"/>, if any.</summary>
    public static Tensor? FindBias(nn.Module module) => module is Linear linear ? linear.bias : Find(module, BiasName);

    /// <summary>Whether the weight's rows (entries, width) are looked up by index, so that LoRA's factors are those of its transpose.</summary>
    public static bool IsEmbedding(nn.Module module) => module is Embedding or IEmbedding;

    /// <summary>Whether <paramref name="module"/> is a linear layer of a library, with a floating-point weight of its own: its forward pass is the product and nothing else.</summary>
    public static bool IsPlain(nn.Module module) => module is Linear or LinearLayer { IsFloatingPoint: true };

    /// <summary>
    /// Whether <paramref name="module"/> computes y = x Wᵀ + b with a 2-D weight W. Of TorchSharp's own layers only Linear does: an Embedding's weight has two dimensions
    /// too, and so may a LayerNorm's. What the user wrote is taken at its word.
    /// </summary>
    public static bool IsLinear(nn.Module module) =>
        module is Linear or ILinearLayer || (module is nn.Module<Tensor, Tensor> && !IsEmbedding(module) && !IsTorchSharpLayer(module.GetType()) && Find(module) is { } weight && weight.dim() == 2);

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
