using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>
/// A forward pass of this thread that continues a text from a cache, without a gradient: there quantised weights may multiply codes (<see cref="LinearWeight.DecodingProduct"/>) as llama.cpp does, while losses, logits of whole
/// texts and training are computed from the values that the blocks stand for.
/// </summary>
internal readonly struct DecodingPass : IDisposable
{
    [ThreadStatic]
    private static int depth;

    private readonly int counted;

    private DecodingPass(int counted) => depth += this.counted = counted;

    /// <summary>Whether this thread is in one.</summary>
    public static bool IsActive => depth > 0;

    /// <summary>Begins one, until it is disposed; without effect where gradients are on.</summary>
    public static DecodingPass Enter() => new(is_grad_enabled() ? 0 : 1);

    public void Dispose() => depth -= counted;
}
