using Fossil.Models.Hub;
using Fossil.Models.Tokenizers;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <content>Uploading.</content>
public abstract partial class CausalLM
{
    /// <summary>
    /// Uploads the model to the hub as <see cref="SavePretrained"/> writes it, with a model card: all in one commit, or none of it (transformers: <c>push_to_hub</c>). The repository is made where it is
    /// missing. Adapters are not written: merge them first, or upload them on their own (<see cref="HubPush.PushToHubAsync"/>).
    /// </summary>
    /// <param name="modelId">The repository, e.g. <c>owner/model</c>; without an owner it is the token's.</param>
    /// <param name="dtype">dtype of the tensors in the files; the parameters' own where null.</param>
    /// <param name="tokenizer">The tokenizer to upload with it; none where null.</param>
    /// <param name="upload">Message, branch, privacy and more.</param>
    /// <param name="options">Where the hub is, and the token, which must be allowed to write; what the environment asks for where null.</param>
    /// <param name="progress">Is told how far each large file is.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="HubException">It could not be uploaded; <see cref="HubException.Error"/> says why.</exception>
    public Task<HubCommit> PushToHubAsync(string modelId, ScalarType? dtype = null, PretrainedTokenizer? tokenizer = null, HubUpload? upload = null, HubOptions? options = null, IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default) =>
        HubPush.PushAsync(modelId, upload, options, progress, folder => SavePretrained(folder, dtype, tokenizer), (card, id, _) => ModelCards.OfModel(card, id, this), cancellationToken);
}
