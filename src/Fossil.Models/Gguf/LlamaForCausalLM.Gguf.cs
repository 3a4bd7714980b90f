using Fossil.Models.Gguf;
using static TorchSharp.torch;

namespace Fossil.Models;

// GGUF files, as llama.cpp, Ollama and LLamaSharp use them.
public sealed partial class LlamaForCausalLM
{
    /// <summary>Loads a decoder from a GGUF file, dequantised.</summary>
    /// <remarks>
    /// The file is mapped into memory and each tensor is dequantised straight into its parameter, so the peak is the model and less than one tensor.
    /// The rows of q and k, which llama.cpp interleaves, are put back into Hugging Face's order.
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <exception cref="GgufException">The file is malformed, or holds a model or tensor types that are not supported.</exception>
    /// <exception cref="CheckpointException">Tensors are missing, surplus or wrongly shaped.</exception>
    public static LlamaForCausalLM FromGguf(string path, ScalarType? dtype = null, Device? device = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var file = GgufFile.Open(path);
        return FromGguf(file, dtype, device);
    }

    /// <summary>Loads a decoder from an open GGUF file, dequantised.</summary>
    /// <param name="file">The file, which may be disposed afterwards.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <exception cref="GgufException">The file holds a model or tensor types that are not supported.</exception>
    /// <exception cref="CheckpointException">Tensors are missing, surplus or wrongly shaped.</exception>
    public static LlamaForCausalLM FromGguf(GgufFile file, ScalarType? dtype = null, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(file);
        var config = GgufModelConfig.Read(file);
        var sources = new List<CheckpointTensor>();
        foreach (var tensor in file.Tensors)
        {
            if (tensor.Name == GgufRopeFactors.TensorName) continue;

            // A name without a counterpart stays as it is, for the error that lists surplus tensors.
            var name = GgufNames.ToHuggingFace(tensor.Name) ?? tensor.Name;
            var heads = GgufNames.InterleavedHeads(name, config);
            sources.Add(new CheckpointTensor(name, [.. tensor.Shape], target => file.LoadInto(tensor.Name, target, heads)));
        }

        return FromTensors(config, sources, file.Path, dtype, device);
    }
}
