using Fossil.Kernels;

namespace Fossil.Methods.Lora;

/// <summary>One adapter's part in a call: for some rows of the flattened input, y += s·(x Aᵀ) Bᵀ.</summary>
/// <param name="Layer">The layer whose factors they are.</param>
/// <param name="Start">The first row.</param>
/// <param name="Count">How many rows.</param>
/// <param name="Dropout">What is dropped of the input before A.</param>
internal readonly record struct LoraTerm(LoraLayer Layer, long Start, long Count, DropoutMask Dropout)
{
    /// <summary>The term of <paramref name="layer"/>, with a new dropout mask where it is training.</summary>
    public static LoraTerm Of(LoraLayer layer, long start, long count) => new(layer, start, count, DropoutMask.Draw(layer.Config.Dropout, layer.Target.Module));
}
