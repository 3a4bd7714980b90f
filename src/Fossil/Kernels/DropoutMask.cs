using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>A dropout mask that is drawn again from its seed in the backward pass instead of being kept.</summary>
/// <param name="Probability">Probability of an element to be dropped; 0 for none.</param>
/// <param name="Seed">What the mask is drawn from.</param>
internal readonly record struct DropoutMask(double Probability, long Seed)
{
    /// <summary>No dropout.</summary>
    public static readonly DropoutMask None = default;

    /// <summary>Whether nothing is dropped.</summary>
    public bool IsNone => Probability == 0;

    /// <summary>1/(1-p), which makes up for what is dropped.</summary>
    public double Scale => 1 / (1 - Probability);

    /// <summary>A new mask for a module that is training, none for one that is not.</summary>
    public static DropoutMask Draw(double probability, nn.Module module)
    {
        if (probability <= 0 || !module.training) return None;

        // Drawn from torch's generator: torch.manual_seed makes it repeatable.
        using var seed = randint(long.MaxValue, 1, dtype: ScalarType.Int64);
        return new DropoutMask(probability, seed.item<long>());
    }

    /// <summary>The mask, one element for each of <paramref name="like"/>: true where it is kept. <see cref="Scale"/> is not in it.</summary>
    public Tensor For(Tensor like)
    {
        using var generator = new Generator((ulong)Seed, like.device);
        return empty(like.shape, dtype: ScalarType.Bool, device: like.device).bernoulli_(1 - Probability, generator);
    }
}
