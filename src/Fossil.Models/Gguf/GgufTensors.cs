using Fossil.Concurrency;
using Fossil.Models.Gguf.Blocks;
using Fossil.Models.Kernels;
using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>The tensors of a model in a GGUF file under Hugging Face's names, dequantised, their rows in Hugging Face's order.</summary>
internal sealed class GgufTensors : ITensorSource
{
    private readonly GgufFile file;
    private readonly CausalLMConfig config;
    private readonly KeptBlocks kept;
    private readonly Dictionary<string, GgufTensorInfo> tensors = new(StringComparer.Ordinal);

    /// <param name="file">The file; it stays the caller's.</param>
    /// <param name="config">The model's configuration, which knows names and rows.</param>
    /// <param name="kept">Which matrices stay as they lie in the file.</param>
    public GgufTensors(GgufFile file, CausalLMConfig config, KeptBlocks kept)
    {
        this.kept = kept;
        this.file = file;
        this.config = config;
        foreach (var tensor in file.Tensors)
        {
            // A name without a counterpart stays as it is, for the error that lists surplus tensors.
            if (!GgufRope.IsFactors(tensor.Name)) tensors[config.GgufNames.ToHuggingFace(tensor.Name) ?? tensor.Name] = tensor;
        }
    }

    /// <inheritdoc/>
    public string Path => file.Path;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => tensors.Keys;

    /// <inheritdoc/>
    public string FileName(string name) => config.GgufNames.ToGguf(name) ?? name;

    /// <inheritdoc/>
    public IReadOnlyList<long> ShapeOf(string name) => tensors[name].Shape;

    /// <inheritdoc/>
    public void LoadInto(string name, Tensor destination)
    {
        if (config.GgufAddition(name) is not 0 and var added)
        {
            // Taken off before the values are rounded to the destination's dtype, in which a sum would have lost their last digits.
            using var sum = file.Load(tensors[name].Name, ScalarType.Float32);
            using var own = sum.sub(Scalars.Of(added));
            destination.copy_(own);
        }
        else
        {
            file.LoadInto(tensors[name].Name, destination, config.InterleavedHeads(name));
        }
    }

    /// <inheritdoc/>
    public LinearWeight? FindEncoded(string name, ScalarType dtype, Device device)
    {
        var info = tensors[name];
        if (!kept.Keeps || info.Shape.Count != 2 || GgufBlock.For(info.Type) is not { } block) return null;
        var weight = new BlockWeight(file.LoadBlocks(info, kept.Mapped).to(device), empty(0, dtype: dtype, device: device), block, HeadOrder.Of(info, config.InterleavedHeads(name), file.Path), kept.Mapped ? file.StateOf(info) : null);
        if (BlockRows.FindNonFinite(weight) is not { } row) return weight;
        foreach (var tensor in weight.Data) tensor.Dispose();
        throw new GgufException(GgufError.InvalidBlock, file.Path, $"tensor '{info.Name}' has blocks in row {row} whose scales are no numbers (NaN or infinity). The file is damaged; fetch or convert it again.");
    }
}
