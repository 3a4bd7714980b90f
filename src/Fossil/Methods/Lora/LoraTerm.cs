using Fossil.Adapters;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>Two factors of a layer.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="IsInitial">Whether they are those that a PiSSA adapter started from, instead of those that are trained.</param>
internal readonly record struct LoraProduct(LoraLayer Layer, bool IsInitial)
{
    /// <summary>A (r, in).</summary>
    public Tensor A => IsInitial ? Layer.InitialA : Layer.A;

    /// <summary>B (out, r).</summary>
    public Tensor B => IsInitial ? Layer.InitialB : Layer.B;
}

/// <summary>One part in a call: for some rows of the flattened input, y += s·(x Aᵀ) Bᵀ.</summary>
/// <param name="Product">A and B.</param>
/// <param name="Scale">s.</param>
/// <param name="Rows">The rows.</param>
/// <param name="Dropout">What is dropped of the input before A.</param>
internal readonly record struct LoraTerm(LoraProduct Product, double Scale, RowRange Rows, DropoutMask Dropout) : ICallTerm
{
    /// <summary>The terms of a layer, with a new dropout mask where it is training.</summary>
    public static LoraTerm[] Of(LayerRows part)
    {
        var layer = (LoraLayer)part.Layer;
        var trained = new LoraTerm(new(layer, IsInitial: false), layer.Scale, part.Rows, DropoutMask.Draw(layer.Config.Dropout, layer.Target.Module, layer.Target.Path));

        // What PiSSA takes over from the weight goes without dropout, as the weight does.
        return layer.IsPissa ? [trained, Initial(layer, -layer.Scale, part.Rows, DropoutMask.None)] : [trained];
    }

    /// <summary>A term of what a PiSSA adapter started from.</summary>
    public static LoraTerm Initial(LoraLayer layer, double scale, RowRange rows, DropoutMask dropout) => new(new(layer, IsInitial: true), scale, rows, dropout);
}
