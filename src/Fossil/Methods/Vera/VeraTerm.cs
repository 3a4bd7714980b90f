using Fossil.Adapters;
using Fossil.Kernels;

namespace Fossil.Methods.Vera;

/// <summary>One adapter's part in a call: for some rows of the flattened input, y += (x Aᵀ) B'ᵀ with B' = diag(λb) B diag(λd).</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Rows">The rows.</param>
/// <param name="Dropout">What is dropped of the input before A.</param>
internal readonly record struct VeraTerm(VeraLayer Layer, RowRange Rows, DropoutMask Dropout) : ICallTerm
{
    /// <summary>The term of a layer, with a new dropout mask where it is training.</summary>
    public static VeraTerm Of(LayerRows part)
    {
        var layer = (VeraLayer)part.Layer;
        return new(layer, part.Rows, DropoutMask.Draw(layer.Config.Dropout, layer.Target.Module, layer.Target.Path));
    }
}
