using Fossil.Concurrency;
using Fossil.Models.Checkpoints.Quantised;
using Fossil.Models.Gguf;
using Fossil.Models.Gguf.Blocks;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <content>Quantising what was loaded as floating-point numbers, and what may be written into quantised weights.</content>
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

    /// <summary>Copies values into parameters and buffers, by their names, as <c>torch.nn.Module</c> does. What it writes into the blocks of a mapped file stays in this process.</summary>
    /// <param name="source">Tensors by their names.</param>
    /// <param name="strict">Whether all must be there, and no others.</param>
    /// <param name="skip">Names that are left out.</param>
    /// <returns>The names that were missing, and those that no tensor has.</returns>
    /// <exception cref="WeightNotChangeableException">A weight is held as blocks or codes, and the tensor for it is none of the same form; nothing was copied.</exception>
    public override (IList<string> missing_keys, IList<string> unexpected_keyes) load_state_dict(Dictionary<string, Tensor> source, bool strict = true, IList<string>? skip = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        using var entry = ModelGuard.Of(this).Enter();
        foreach (var (path, module) in named_modules().Where(module => module.module is EncodableModule { IsFloatingPoint: false }))
        {
            foreach (var (name, buffer) in module.named_buffers(recurse: false))
            {
                if (skip?.Contains($"{path}.{name}") == true || !source.TryGetValue($"{path}.{name}", out var value) || (value.dtype == buffer.dtype && value.shape.SequenceEqual(buffer.shape))) continue;
                throw new WeightNotChangeableException(
                    $"'{path}.{name}' is held as {((EncodableModule)module).Form.GetType().Name}, in a tensor ({string.Join(", ", buffer.shape)}) of {buffer.dtype}, and ({string.Join(", ", value.shape)}) of {value.dtype} cannot be copied into it: nothing was copied. Call {nameof(EncodableModule.Expand)} on that module first, or load the model without keepQuantized.");
            }
        }

        return base.load_state_dict(source, strict, skip);
    }

    private static GgufBlock Block(WeightQuantization type) => GgufBlock.For(type switch
    {
        WeightQuantization.Q8_0 => GgufTensorType.Q8_0,
        WeightQuantization.Q4_0 => GgufTensorType.Q4_0,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "There is no such form."),
    })!;
}
