using Fossil.Models.Hub;
using Fossil.Serialization;
using Fossil.Models.Gguf;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>
/// Loads a decoder of whatever family a file says that it is: by the <c>model_type</c> of <c>config.json</c> or the <c>general.architecture</c> of a GGUF file.
/// </summary>
public static class AutoModelForCausalLM
{
    /// <summary>The families: one line each.</summary>
    internal static IReadOnlyList<CausalLMFamily> Families { get; } =
    [
        new(typeof(LlamaForCausalLM), ["llama", "mistral", "qwen2", "qwen3"], ["llama", "qwen2", "qwen3"], json => new LlamaConfig(json), gguf => new LlamaConfig(gguf)),
        new(typeof(Qwen3MoeForCausalLM), ["qwen3_moe"], ["qwen3moe"], json => new Qwen3MoeConfig(json), gguf => new Qwen3MoeConfig(gguf)),
        new(typeof(Phi3ForCausalLM), ["phi3"], ["phi3"], json => new Phi3Config(json), gguf => new Phi3Config(gguf)),
        new(typeof(SmolLM3ForCausalLM), ["smollm3"], ["smollm3"], json => new SmolLM3Config(json), gguf => new SmolLM3Config(gguf)),
        new(typeof(Gemma2ForCausalLM), ["gemma2"], ["gemma2"], json => new Gemma2Config(json), gguf => new Gemma2Config(gguf)),
        new(typeof(Gemma3ForCausalLM), ["gemma3_text"], ["gemma3"], json => new Gemma3Config(json), gguf => new Gemma3Config(gguf)),
        new(typeof(Olmo2ForCausalLM), ["olmo2"], ["olmo2"], json => new Olmo2Config(json), gguf => new Olmo2Config(gguf)),
        new(typeof(GraniteForCausalLM), ["granite"], ["granite"], json => new GraniteConfig(json), gguf => new GraniteConfig(gguf)),
    ];

    /// <summary>Loads a decoder from a Hugging Face folder: <c>config.json</c> and <c>model.safetensors</c>, or several files with their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds: <c>bfloat16</c>, <c>"bfloat16"</c>, or <c>"auto"</c> for the checkpoint's own; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <param name="keepQuantized">Whether quantised matrices (bitsandbytes' nf4, fp4 and int8, FP8) stay the codes that they are in the folder, whose memory is used and must stay as it is while the model lives. Otherwise they are dequantised.</param>
    /// <exception cref="CheckpointException">A file is missing, the configuration is of no known family, or tensors are missing, surplus or wrongly shaped.</exception>
    /// <exception cref="SafetensorsException">A tensor file is malformed.</exception>
    public static CausalLM FromPretrained(string folder, LoadDtype? dtype = null, Device? device = null, bool keepQuantized = false) => CausalLMLoader.FromPretrained(folder, Families, dtype, device, keepQuantized);

    /// <summary>Loads a decoder from a GGUF file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds: <c>bfloat16</c>, <c>"bfloat16"</c>, or <c>"auto"</c> for the checkpoint's own; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <param name="keepQuantized">Whether matrices stay the blocks that they are in the file, of which products are computed: the adapter is then trained over exactly what is served, in a quarter of the memory. Otherwise they are dequantised.</param>
    /// <param name="mapped">With <paramref name="keepQuantized"/>, whether these blocks are the file's own memory, which processes share; the file must then stay as it is while the model lives. Otherwise they are a copy.</param>
    /// <exception cref="GgufException">The file is malformed, or holds a model or tensor types that are not supported.</exception>
    /// <exception cref="CheckpointException">Tensors are missing, surplus or wrongly shaped.</exception>
    public static CausalLM FromGguf(string path, LoadDtype? dtype = null, Device? device = null, bool keepQuantized = false, bool mapped = true) =>
        CausalLMLoader.FromGguf(path, Families, dtype, device, KeptBlocks.Of(keepQuantized, mapped));

    /// <summary>Loads a decoder from the hub, by way of the cache that huggingface_hub uses too.</summary>
    /// <inheritdoc cref="CausalLM{TModel, TConfig}.FromHubAsync" path="/param"/>
    /// <exception cref="HubException">Something could not be fetched.</exception>
    /// <exception cref="CheckpointException">What was fetched is no decoder of a known family.</exception>
    /// <exception cref="GgufException">The GGUF file is malformed, or holds a model that is not supported.</exception>
    public static Task<CausalLM> FromHubAsync(string modelId, LoadDtype? dtype = null, Device? device = null, string revision = "main", HubOptions? options = null, IProgress<HubProgress>? progress = null, string? fileName = null, CancellationToken cancellationToken = default, bool keepQuantized = false) =>
        CausalLMLoader.FromHubAsync(modelId, Families, dtype, device, revision, options, progress, fileName, keepQuantized, cancellationToken);

    /// <summary>The family of a decoder's class.</summary>
    internal static CausalLMFamily FamilyOf<TModel>() where TModel : CausalLM => Families.Single(family => family.Model == typeof(TModel));
}
