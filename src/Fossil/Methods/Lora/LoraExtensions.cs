using Fossil.Methods.Lora;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>Adapters of a model as LoRA adapters.</summary>
public static class LoraExtensions
{
    /// <summary>
    /// Adds a LoRA adapter that does what another adapter does (PEFT: <c>convert_to_lora</c>), scale included. For FOSSIL Balance, padded and Mini nothing is lost, and neither <paramref name="rank"/> nor
    /// <paramref name="energy"/> is needed; other adapters' change of the weight is cut to its largest singular values. The new adapter is inactive.
    /// </summary>
    /// <param name="adapted">The model with the adapters.</param>
    /// <param name="newName">The new adapter's name.</param>
    /// <param name="adapterName">The adapter to convert.</param>
    /// <param name="rank">How many singular values to keep.</param>
    /// <param name="energy">Instead of a rank: the smallest one that keeps this share, from 0 to 1, of the sum of their squares.</param>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, or the adapter trains biases.</exception>
    public static void ConvertToLora(this AdaptedModel adapted, string newName, string adapterName = AdaptedModel.DefaultAdapterName, int? rank = null, double? energy = null)
    {
        ArgumentNullException.ThrowIfNull(adapted);
        using var entry = adapted.Enter();
        var adapter = adapted.Find(adapterName);
        using var changes = adapted.ChangesOf(adapter, rank, energy);
        adapted.AddConverted(adapter, newName, LoraConversion.Config(adapter, changes), converted => LoraConversion.Fill(converted, changes));
    }

    /// <summary>Writes an adapter's conversion to LoRA as a folder that PEFT reads (PEFT: <c>save_as_lora</c>).</summary>
    /// <param name="adapted">The model with the adapters.</param>
    /// <param name="folder">The folder, made where it is missing.</param>
    /// <param name="adapterName">The adapter to convert.</param>
    /// <param name="rank">As in <see cref="ConvertToLora"/>.</param>
    /// <param name="energy">As in <see cref="ConvertToLora"/>.</param>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, or the adapter trains biases.</exception>
    /// <exception cref="AdapterBackwardException">The last backward pass failed.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is.</exception>
    public static void SaveAsLora(this AdaptedModel adapted, string folder, string adapterName = AdaptedModel.DefaultAdapterName, int? rank = null, double? energy = null)
    {
        ArgumentNullException.ThrowIfNull(adapted);
        using var entry = adapted.Enter(toSave: true);
        var adapter = adapted.Find(adapterName);
        using var changes = adapted.ChangesOf(adapter, rank, energy);
        adapted.SaveConverted(folder, adapter, LoraConversion.Config(adapter, changes), LoraConversion.Tensors(changes));
    }

    /// <summary>
    /// Writes a PiSSA adapter as a plain LoRA adapter of twice the rank (PEFT: <c>save_pretrained</c> with <c>path_initial_model_for_weight_conversion</c>).
    /// <see cref="AdaptedModel.SavePretrained"/> writes it as it is, with what it started from beside it; PEFT decomposes the weights again instead.
    /// </summary>
    /// <param name="adapted">The model with the adapters.</param>
    /// <param name="folder">The folder, made where it is missing.</param>
    /// <param name="adapterName">Which adapter.</param>
    /// <param name="pathInitialModelForWeightConversion">The folder that it was saved to before it was trained, as PEFT wants it; null to use what the adapter remembers.</param>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    /// <exception cref="AdapterCombinationException">It is no PiSSA adapter.</exception>
    /// <exception cref="AdapterBackwardException">The last backward pass failed.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is.</exception>
    public static void SavePissaAsLora(this AdaptedModel adapted, string folder, string adapterName = AdaptedModel.DefaultAdapterName, string? pathInitialModelForWeightConversion = null)
    {
        ArgumentNullException.ThrowIfNull(adapted);
        using var entry = adapted.Enter(toSave: true);
        var adapter = adapted.Find(adapterName);
        if (adapter.Config is not LoraConfig config) throw new AdapterCombinationException($"'{adapterName}' is of the method {adapter.Config.PeftType}, not a PiSSA adapter. Use SaveAsLora.");
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var initial = pathInitialModelForWeightConversion is null ? null : AdapterFile.Open(pathInitialModelForWeightConversion);
        adapted.SaveConverted(folder, adapter, PissaConversion.Config(config) with { InferenceMode = true }, adapter.Layers.SelectMany(layer => PissaConversion.Tensors(layer, initial)).ToArray());
    }
}
