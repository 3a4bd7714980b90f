using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>
/// The tensors of a Hugging Face folder with its quantised weights dequantised: each is there under its own name and shape, and what belongs to it
/// (scales, tables, descriptions) is not. Codes without scales are refused, so that they are never taken for weights.
/// </summary>
internal sealed class QuantisedTensors : ITensorSource
{
    private const string WeightSuffix = ".weight";
    private const int CodeBits = 8;

    private readonly HuggingFaceFolder folder;
    private readonly bool keeps;
    private readonly Dictionary<string, QuantisedWeight> weights = new(StringComparer.Ordinal);

    /// <param name="folder">The folder; it stays the caller's.</param>
    /// <param name="config">What its configuration says.</param>
    /// <param name="keeps">Whether a model may keep matrices as they are stored.</param>
    /// <exception cref="CheckpointException">Weights are stored in a form that is not read, or what belongs to them is missing.</exception>
    public QuantisedTensors(HuggingFaceFolder folder, QuantisationConfig config, bool keeps)
    {
        this.keeps = keeps;
        this.folder = folder;
        foreach (var name in folder.Names.Where(name => name.EndsWith(WeightSuffix, StringComparison.Ordinal)))
        {
            if ((BitsAndBytes4Bit.Find(name, folder) ?? BitsAndBytes8Bit.Find(name, folder) ?? BlockScaledFloat8.Find(name, folder, config)) is { } weight) weights.Add(name, weight);
        }

        var companions = weights.Values.SelectMany(weight => weight.Companions).ToHashSet(StringComparer.Ordinal);
        Names = [.. folder.Names.Where(name => !companions.Contains(name))];
        if (Names.FirstOrDefault(IsPacked) is { } packed) throw new CheckpointException($"{folder.Path} holds '{packed}': its weights are quantised by GPTQ, AWQ or a method like them, which is not read here. Take a form that is (bitsandbytes, FP8 with weight_scale_inv, GGUF), or the model that it was made of.");
        foreach (var name in Names.Where(name => !weights.ContainsKey(name) && IsParameter(name)))
        {
            var dtype = folder.InfoOf(name).Dtype;
            if (IsFloat(dtype)) continue;
            throw new CheckpointException($"{folder.Path}: '{name}' is stored in {dtype}, " + (dtype.BitSize() <= CodeBits && dtype != SafetensorsDtype.BOOL
                ? $"and nothing beside it says which numbers these codes stand for. bitsandbytes' scales ('{name}.absmax' with its quant_state, or SCB) are missing, or it is quantised by a method that is not read here."
                : "which holds no weights. Save the model again in one of " + TorchDtypes.Names + "."));
        }
    }

    /// <inheritdoc/>
    public string Path => folder.Path;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names { get; }

    /// <inheritdoc/>
    public IReadOnlyList<long> ShapeOf(string name) => weights.TryGetValue(name, out var weight) ? weight.Shape : folder.ShapeOf(name);

    /// <inheritdoc/>
    public void LoadInto(string name, Tensor destination)
    {
        if (weights.TryGetValue(name, out var weight)) weight.LoadInto(destination);
        else folder.LoadInto(name, destination);
    }

    /// <inheritdoc/>
    public LinearWeight? FindEncoded(string name, ScalarType dtype, Device device)
    {
        if (!keeps || !weights.TryGetValue(name, out var weight) || weight.Shape.Count != 2) return null;
        var encoded = weight.Encode(dtype);
        return encoded.WithData([.. encoded.Data.Select(tensor => TensorFiller.Upload(tensor, device))]);
    }

    private static bool IsPacked(string name) => name.EndsWith(".qweight", StringComparison.Ordinal) || name.EndsWith(".weight_packed", StringComparison.Ordinal) || name.EndsWith("_blocks", StringComparison.Ordinal);

    private static bool IsParameter(string name) => name.EndsWith(WeightSuffix, StringComparison.Ordinal) || name.EndsWith(".bias", StringComparison.Ordinal);

    private static bool IsFloat(SafetensorsDtype dtype) => dtype is SafetensorsDtype.F16 or SafetensorsDtype.BF16 or SafetensorsDtype.F32 or SafetensorsDtype.F64
        or SafetensorsDtype.F8_E4M3 or SafetensorsDtype.F8_E5M2 or SafetensorsDtype.F8_E4M3FNUZ or SafetensorsDtype.F8_E5M2FNUZ;
}
