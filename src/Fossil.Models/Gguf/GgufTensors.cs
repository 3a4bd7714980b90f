using Fossil.Concurrency;
using Fossil.Models.Gguf.Blocks;
using Fossil.Models.Kernels;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>The tensors of a model in a GGUF file under Hugging Face's names, dequantised, their rows in Hugging Face's order.</summary>
internal sealed class GgufTensors : ITensorSource
{
    // More experts than any layer has: what a file claims costs no memory.
    private const long MostStacked = 1 << 16;

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
            if (GgufRope.IsFactors(tensor.Name)) continue;

            // A name without a counterpart stays as it is, for the error that lists surplus tensors.
            var name = config.GgufNames.ToHuggingFace(tensor.Name) ?? tensor.Name;
            if (!GgufNames.IsStacked(name) || tensor.Shape is not [<= MostStacked, _, _]) tensors[name] = tensor;
            else for (var index = 0; index < tensor.Shape[0]; index++) tensors[GgufNames.OfStacked(name, index)] = tensor.Part(index);
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
            using var sum = empty([.. tensors[name].Shape], ScalarType.Float32, CPU);
            file.LoadInto(tensors[name], sum, 0);
            using var own = sum.sub(Scalars.Of(added));
            destination.copy_(own);
        }
        else
        {
            file.LoadInto(tensors[name], destination, config.InterleavedHeads(name));
        }
    }

    /// <inheritdoc/>
    public LinearWeight? FindEncoded(string name, ScalarType dtype, Device device)
    {
        var info = tensors[name];
        if (!kept.Keeps || info.Shape.Count != 2 || GgufBlock.For(info.Type) is not { } block) return null;
        // The processor looks at them where they lie; from there a device takes them piece by piece.
        var isOnHost = device.type == TorchSharp.DeviceType.CPU;
        var (blocks, order) = (file.LoadBlocks(info, kept.Mapped || !isOnHost), HeadOrder.Of(info, config.InterleavedHeads(name), file.Path));
        var weight = new BlockWeight(blocks, empty(0, dtype: dtype, device: device), block, order, kept.Mapped && isOnHost ? file.StateOf(info) : null);
        if (BlockRows.FindNonFinite(weight) is not { } row)
        {
            if (isOnHost) return weight;
            using (blocks) return weight.WithData([TensorFiller.Upload(blocks, device), weight.Data[1]]);
        }

        foreach (var tensor in weight.Data) tensor.Dispose();
        throw new GgufException(GgufError.InvalidBlock, file.Path, $"tensor '{info.Name}' has blocks in row {row} whose scales are no numbers (NaN or infinity). The file is damaged; fetch or convert it again.");
    }
}
