using Fossil.Adapters;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// A PiSSA adapter as a plain LoRA adapter of the weight that it was attached to (PEFT: <c>LoraModel.subtract_mutated_init</c>): with A₀, B₀ what it started from,
/// s·B A − s·B₀ A₀ = s·[B, −B₀] [A; A₀], which has twice the rank and the same scale.
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
    /// <exception cref="AdapterCombinationException">The adapter is no PiSSA adapter.</exception>
    public static IEnumerable<(AdapterTensorName Name, Tensor Tensor)> Tensors(AdapterLayer layer, AdapterFile? initial)
    {
        if (layer is not LoraLayer { Config.InitLoraWeights.IsPissa: true } lora || layer is DoraLayer)
            throw new AdapterCombinationException($"'{layer.AdapterName}' is no PiSSA adapter: it takes nothing over from the weight of '{layer.Target.Path}' that a conversion would have to give back. Use SavePretrained.");

        var (kindA, kindB) = (layer.ParameterNames[0], layer.ParameterNames[1]);
        var (nameA, nameB) = (layer.FileName(kindA), layer.FileName(kindB));
        var (a, b) = (lora.A.detach(), lora.B.detach());

        // What took nothing over, an embedding, gets the same rank.
        var (firstA, firstB) = !lora.IsPissa ? (zeros_like(a), zeros_like(b)) : initial is null ? (lora.InitialA, lora.InitialB) : (Load(initial, layer, kindA), Load(initial, layer, kindB));
        if (!firstA.shape.SequenceEqual(a.shape) || !firstB.shape.SequenceEqual(b.shape))
            throw new AdapterFileException(initial!.Path, $"'{nameA}' and '{nameB}' have other shapes than the adapter '{layer.AdapterName}'. Give the folder that this adapter was saved to before it was trained.");
        yield return (nameA, cat([a, firstA.to(a.dtype, a.device)], 0));
        yield return (nameB, cat([b, firstB.to(b.dtype, b.device).neg()], 1));
    }

    private static Tensor Load(AdapterFile initial, AdapterLayer layer, AdapterParameterName parameter) => initial.Load(initial.NameOf(layer.FileName(parameter), layer.RegisteredFileName(parameter)));
}
