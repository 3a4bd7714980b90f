using Fossil.Models.Gguf;
using Fossil.Models.Hub;
using Fossil.Serialization;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>A decoder of one family: loads it, and knows its configuration.</summary>
/// <typeparam name="TModel">The decoder's class.</typeparam>
/// <typeparam name="TConfig">The class of its configuration.</typeparam>
public abstract class CausalLM<TModel, TConfig> : CausalLM
    where TModel : CausalLM<TModel, TConfig>
    where TConfig : CausalLMConfig
{
    private readonly DecoderModel model;
    private TConfig config;

    private protected CausalLM(string name, TConfig config, Func<DecoderModel> create) : base(name)
    {
        ArgumentNullException.ThrowIfNull(config);
        (this.config, model) = (config, create());
        register_module(nameof(model), model);
    }

    private static CausalLMFamily[] Family => [AutoModelForCausalLM.FamilyOf<TModel>()];

    /// <summary>
    /// The architecture as it is now: the output layer is the embedding matrix until it gets a weight of its own, by the checkpoint or by an adapter, and the vocabulary is as large as the embedding.
    /// </summary>
    public TConfig Config
    {
        get
        {
            var (isTied, vocabSize) = (Output is TiedLinear { IsTied: true }, (int)Embedding.Rows.OutFeatures);
            return config.TieWordEmbeddings == isTied && config.VocabSize == vocabSize ? config : config = (TConfig)config.WithEmbeddings(isTied, vocabSize);
        }
    }

    /// <inheritdoc/>
    public sealed override CausalLMConfig CommonConfig => Config;

    private protected sealed override TokenEmbedding Embedding => model.Embedding;

    private protected sealed override Tensor Hidden(DecoderInput input) => model.forward(input);

    /// <summary>The output layer, for a field of the family's annotated class.</summary>
    private protected Module<Tensor, Tensor> CreateOutput(ScalarType dtype, Device? device) => Projection.CreateOutput(config, model.Embedding, dtype, device);

    /// <summary>Loads a decoder from a Hugging Face folder: <c>config.json</c> and <c>model.safetensors</c>, or several files with their index.</summary>
    /// <remarks>The files are mapped into memory and each tensor is converted straight into its parameter, so the peak is the model and one tensor.</remarks>
    /// <param name="folder">The folder.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds: <c>bfloat16</c>, <c>"bfloat16"</c>, or <c>"auto"</c> for the checkpoint's own; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <param name="keepQuantized">Whether quantised matrices (bitsandbytes' nf4, fp4 and int8, FP8) stay the codes that they are in the folder, whose memory is used and must stay as it is while the model lives. Otherwise they are dequantised.</param>
    /// <exception cref="CheckpointException">A file is missing, the configuration is not of this family, or tensors are missing, surplus or wrongly shaped.</exception>
    /// <exception cref="SafetensorsException">A tensor file is malformed.</exception>
    public static TModel FromPretrained(string folder, LoadDtype? dtype = null, Device? device = null, bool keepQuantized = false) => (TModel)CausalLMLoader.FromPretrained(folder, Family, dtype, device, keepQuantized);

    /// <summary>Loads a decoder from a GGUF file.</summary>
    /// <remarks>
    /// The file is mapped into memory and each tensor is dequantised straight into its parameter, so the peak is the model and less than one tensor.
    /// The rows of q and k, which llama.cpp interleaves for some architectures, are put back into Hugging Face's order.
    /// </remarks>
    /// <param name="path">The file.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds: <c>bfloat16</c>, <c>"bfloat16"</c>, or <c>"auto"</c> for the checkpoint's own; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <param name="keepQuantized">Whether matrices stay the blocks that they are in the file, of which products are computed: the adapter is then trained over exactly what is served, in a quarter of the memory. Otherwise they are dequantised.</param>
    /// <param name="mapped">With <paramref name="keepQuantized"/>, whether these blocks are the file's own memory, which processes share; the file must then stay as it is while the model lives. Otherwise they are a copy.</param>
    /// <exception cref="GgufException">The file is malformed, or holds a model or tensor types that are not supported.</exception>
    /// <exception cref="CheckpointException">Tensors are missing, surplus or wrongly shaped.</exception>
    public static TModel FromGguf(string path, LoadDtype? dtype = null, Device? device = null, bool keepQuantized = false, bool mapped = true) =>
        (TModel)CausalLMLoader.FromGguf(path, Family, dtype, device, KeptBlocks.Of(keepQuantized, mapped));

    /// <summary>Loads a decoder from an open GGUF file.</summary>
    /// <param name="file">The file, which may be disposed afterwards.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds: <c>bfloat16</c>, <c>"bfloat16"</c>, or <c>"auto"</c> for the checkpoint's own; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <param name="keepQuantized">Whether matrices stay the blocks that they are in the file, of which products are computed: the adapter is then trained over exactly what is served, in a quarter of the memory. Otherwise they are dequantised.</param>
    /// <param name="mapped">With <paramref name="keepQuantized"/>, whether these blocks are the file's own memory, which processes share; the file must then stay as it is while the model lives. Otherwise they are a copy.</param>
    /// <exception cref="GgufException">The file holds a model or tensor types that are not supported.</exception>
    /// <exception cref="CheckpointException">Tensors are missing, surplus or wrongly shaped.</exception>
    public static TModel FromGguf(GgufFile file, LoadDtype? dtype = null, Device? device = null, bool keepQuantized = false, bool mapped = true) =>
        (TModel)CausalLMLoader.FromGguf(file, Family, dtype, device, KeptBlocks.Of(keepQuantized, mapped));

    /// <summary>Loads a decoder from the hub, by way of the cache that huggingface_hub uses too.</summary>
    /// <param name="modelId">E.g. <c>HuggingFaceTB/SmolLM2-135M-Instruct</c>.</param>
    /// <param name="dtype">dtype of the parameters whatever the files hold: <c>bfloat16</c>, <c>"bfloat16"</c>, or <c>"auto"</c> for the checkpoint's own; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <param name="revision">A branch, a tag, or the hash of a commit.</param>
    /// <param name="options">Where the hub and the cache are; what the environment asks for where null.</param>
    /// <param name="progress">Is told how far each file is.</param>
    /// <param name="fileName">A GGUF file of the model, e.g. <c>model.Q8_0.gguf</c>, which is loaded instead of the safetensors files; null for these.</param>
    /// <param name="cancellationToken">Ends the fetching; what has arrived is kept.</param>
    /// <param name="keepQuantized">Whether quantised matrices stay as they are stored, as in <see cref="FromGguf(string, LoadDtype?, Device?, bool, bool)"/>.</param>
    /// <exception cref="HubException">Something could not be fetched.</exception>
    /// <exception cref="CheckpointException">What was fetched is no decoder of this family.</exception>
    /// <exception cref="GgufException">The GGUF file is malformed, or holds a model that is not supported.</exception>
    public static async Task<TModel> FromHubAsync(string modelId, LoadDtype? dtype = null, Device? device = null, string revision = "main", HubOptions? options = null, IProgress<HubProgress>? progress = null, string? fileName = null, CancellationToken cancellationToken = default, bool keepQuantized = false) =>
        (TModel)await CausalLMLoader.FromHubAsync(modelId, Family, dtype, device, revision, options, progress, fileName, keepQuantized, cancellationToken).ConfigureAwait(false);
}
