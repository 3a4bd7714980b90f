using Fossil.Concurrency;
using Fossil.Models.Checkpoints.Quantised;
using Fossil.Models.Gguf;
using Fossil.Models.Gguf.Blocks;

namespace Fossil.Models;

/// <content>Quantising what was loaded as floating-point numbers.</content>
public abstract partial class CausalLM
{
    /// <summary>
    /// Quantises the projections of all layers, one after the other, for training adapters in less memory (QLoRA). Embedding and output layer stay as they are, and so do matrices whose rows are no
    /// whole blocks.
    /// </summary>
    /// <param name="type">The form.</param>
    /// <returns>How many matrices were quantised.</returns>
    /// <exception cref="AdapterStateException">Adapters act on them.</exception>
    public int QuantizeWeights(WeightQuantization type)
    {
        using var entry = ModelGuard.Of(this).Enter();
        (string Path, LinearLayer Layer)[] layers = [.. named_modules().Where(module => module.module is LinearLayer { IsFloatingPoint: true } && module.module != Output).Select(module => (module.name, (LinearLayer)module.module))];
        foreach (var (_, layer) in layers) AdaptedModel.CheckReplaceable(this, layer);
        var block = type == WeightQuantization.NF4 ? NormalFloat.BlockSize : Block(type).Elements;
        var whole = layers.Where(entry => entry.Layer.Weight.InFeatures % block == 0).ToArray();
        foreach (var (_, layer) in whole) layer.Replace(type == WeightQuantization.NF4 ? NormalFloat.Quantise(layer.Weight) : BlockWeight.Quantise(layer.Weight, Block(type)));
        if (layers.Except(whole).FirstOrDefault() is { Path: { } path, Layer: var odd })
            FossilWarnings.Report($"'{path}' and {layers.Length - whole.Length - 1} others stay floating-point numbers: their rows ({odd.Weight.InFeatures} elements there) are no whole blocks of {block}, as {type} needs.");
        return whole.Length;
    }

    private static GgufBlock Block(WeightQuantization type) => GgufBlock.For(type switch
    {
        WeightQuantization.Q8_0 => GgufTensorType.Q8_0,
        WeightQuantization.Q4_0 => GgufTensorType.Q4_0,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "There is no such form."),
    })!;
}
