using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Models.Export;

/// <summary>A tensor of a model that is to be written: a parameter, or a weight in another form, which is dequantised when its turn comes.</summary>
/// <param name="Shape">Its shape.</param>
/// <param name="Dtype">The dtype that it is computed in.</param>
/// <param name="Encoded">The form in which it is held, where it can be written so; null where it is numbers.</param>
/// <param name="Load">Makes it in a dtype; the caller owns it.</param>
internal sealed record ModelTensor(long[] Shape, ScalarType Dtype, LinearWeight? Encoded, Func<ScalarType, Tensor> Load)
{
    /// <summary>A parameter.</summary>
    public static ModelTensor Of(Parameter parameter) => new(parameter.shape, parameter.dtype, null, dtype =>
    {
        using var detached = parameter.detach();
        return detached.to(dtype);
    });

    /// <summary>The weight of a module that holds it in another form.</summary>
    /// <param name="module">The module.</param>
    /// <param name="merged">Makes the weight with adapters merged into it; null where none are.</param>
    public static ModelTensor Of(EncodableModule module, Func<Tensor>? merged)
    {
        var form = module.Form;
        return merged is null ? new(form.Shape, form.Dtype, form, form.ToTensor) : new(form.Shape, form.Dtype, null, dtype =>
        {
            using var full = merged();
            return full.to(dtype);
        });
    }
}
