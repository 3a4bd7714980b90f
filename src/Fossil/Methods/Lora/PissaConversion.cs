using Fossil.Adapters;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// A PiSSA adapter as a plain LoRA adapter of the weight that it was attached to (PEFT: <c>LoraModel.subtract_mutated_init</c>): with A₀, B₀ what was taken out of
/// the weight, s·B A − s·B₀ A₀ = s·[B, −B₀] [A; A₀], which has twice the rank and the same scale.
/// </summary>
internal static class PissaConversion
{
    /// <summary>The configuration of the result.</summary>
    public static LoraConfig Config(LoraConfig config)
    {
        // The scale stays: alpha / r, or alpha / √r.
        var factor = config.UseRslora ? Math.Sqrt(2) : 2;
        return config with
        {
            Rank = 2 * config.Rank,
            Alpha = factor * config.Alpha,
            RankPattern = new OrderedDictionary<string, int>(config.RankPattern.Select(pair => KeyValuePair.Create(pair.Key, 2 * pair.Value))),
            AlphaPattern = new OrderedDictionary<string, double>(config.AlphaPattern.Select(pair => KeyValuePair.Create(pair.Key, factor * pair.Value))),
            InitLoraWeights = LoraInitialization.Default,
        };
    }

    /// <summary>The tensors of a layer of the result; the caller's dispose scope owns them.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="initial">The file of the adapter before it was trained; where null, the layer's own memory of it is used.</param>
    /// <exception cref="AdapterCombinationException">The layer took nothing out of the weight.</exception>
    public static IEnumerable<(AdapterTensorName Name, Tensor Tensor)> Tensors(AdapterLayer layer, AdapterFile? initial)
    {
        if (layer is not LoraLayer { Taken: { } taken } lora || layer is DoraLayer)
            throw new AdapterCombinationException($"'{layer.AdapterName}' is no PiSSA adapter: it took nothing out of the weight of '{layer.Target.Path}' that a conversion would have to give back. Use SavePretrained.");

        var (nameA, nameB) = (layer.FileName(LoraLayer.FactorA), layer.FileName(LoraLayer.FactorB));
        var (a, b) = (lora.A.detach(), lora.B.detach());
        var (firstA, firstB) = initial is null ? taken : (Load(initial, layer, LoraLayer.FactorA), Load(initial, layer, LoraLayer.FactorB));
        if (!firstA.shape.SequenceEqual(a.shape) || !firstB.shape.SequenceEqual(b.shape))
            throw new AdapterFileException(initial!.Path, $"'{nameA}' and '{nameB}' have other shapes than the adapter '{layer.AdapterName}'. Give the folder that this adapter was saved to before it was trained.");
        yield return (nameA, cat([a, firstA.to(a.dtype, a.device)], 0));
        yield return (nameB, cat([b, -firstB.to(b.dtype, b.device)], 1));
    }

    private static Tensor Load(AdapterFile initial, AdapterLayer layer, AdapterParameterName parameter) => initial.Load(initial.NameOf(layer.FileName(parameter), layer.RegisteredFileName(parameter)));
}
