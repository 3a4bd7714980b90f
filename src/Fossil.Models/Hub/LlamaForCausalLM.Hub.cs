using Fossil.Models.Hub;
using static TorchSharp.torch;

namespace Fossil.Models;

// Models by their id on the hub.
public sealed partial class LlamaForCausalLM
{
    /// <summary>Loads a decoder from the hub, by way of the cache that huggingface_hub uses too.</summary>
    /// <param name="modelId">E.g. <c>HuggingFaceTB/SmolLM2-135M-Instruct</c>.</param>
    /// <param name="dtype">dtype of the parameters whatever the files hold; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <param name="revision">A branch, a tag, or the hash of a commit.</param>
    /// <param name="options">Where the hub and the cache are; what the environment asks for where null.</param>
    /// <param name="progress">Is told how far each file is.</param>
    /// <param name="fileName">A GGUF file of the model, e.g. <c>model.Q8_0.gguf</c>, which is loaded instead of the safetensors files; null for these.</param>
    /// <param name="cancellationToken">Ends the fetching; what has arrived is kept.</param>
    /// <exception cref="HubException">Something could not be fetched.</exception>
    /// <exception cref="CheckpointException">What was fetched is no decoder of this family.</exception>
    /// <exception cref="Gguf.GgufException">The GGUF file is malformed, or holds a model that is not supported.</exception>
    public static async Task<LlamaForCausalLM> FromHubAsync(string modelId, ScalarType? dtype = null, Device? device = null, string revision = "main", HubOptions? options = null, IProgress<HubProgress>? progress = null, string? fileName = null, CancellationToken cancellationToken = default)
    {
        using var client = new HubClient(options);
        if (fileName is not null) return FromGguf(await client.DownloadFileAsync(modelId, fileName, revision, progress, cancellationToken).ConfigureAwait(false), dtype, device);
        return FromPretrained(await client.DownloadModelAsync(modelId, revision, progress, cancellationToken).ConfigureAwait(false), dtype, device);
    }
}
