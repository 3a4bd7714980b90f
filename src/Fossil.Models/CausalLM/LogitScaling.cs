using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>What is done to the output layer's product until it is logits: divided, then bounded.</summary>
/// <param name="Divisor">What it is divided by (Granite).</param>
/// <param name="SoftCap">The bound c, c · tanh(logits / c) (Gemma); null where there is none.</param>
internal sealed record LogitScaling(double Divisor = 1, double? SoftCap = null)
{
    /// <summary>The logits are the product itself.</summary>
    public static LogitScaling None { get; } = new();

    /// <summary>The logits; <paramref name="product"/> itself where it is left as it is.</summary>
    public Tensor Apply(Tensor product)
    {
        if (this == None) return product;
        using var scope = NewDisposeScope();
        if (Divisor != 1) product = product.div(Scalars.Of(Divisor));
        return (SoftCap is { } cap ? Models.SoftCap.Apply(product, cap) : product).MoveToOuterDisposeScope();
    }
}
