using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>The bound that Gemma puts on attention scores and logits.</summary>
internal static class SoftCap
{
    /// <summary>c · tanh(x / c), between −c and c.</summary>
    public static Tensor Apply(Tensor x, double cap)
    {
        using var scope = NewDisposeScope();
        return x.div(Scalars.Of(cap)).tanh().mul(Scalars.Of(cap)).MoveToOuterDisposeScope();
    }
}
