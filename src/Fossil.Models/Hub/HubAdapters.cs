using static TorchSharp.torch;

namespace Fossil.Models.Hub;

/// <summary>Adapters by their ids on the hub.</summary>
public static class HubAdapters
{
    /// <summary>
    /// Fetches an adapter from the hub, by way of the cache that huggingface_hub uses too, and attaches it to its base model as <see cref="AdapterExtensions.LoadPretrained"/> does (PEFT:
    /// <c>PeftModel.from_pretrained</c> with an id).
    /// </summary>
    /// <param name="model">A model of which some class is marked with <see cref="FossilAdaptAttribute"/>; any, not only those of this package.</param>
    /// <param name="adapterId">E.g. <c>owner/adapter</c>.</param>
    /// <param name="adapterName">The name the adapter gets.</param>
    /// <param name="isTrainable">Whether it can be trained on; otherwise it is frozen.</param>
    /// <param name="revision">A branch, a tag, or the hash of a commit.</param>
    /// <param name="subfolder">The adapter's folder in the repository, with slashes; null for its root.</param>
    /// <param name="options">Where the hub and the cache are, and the token; what the environment asks for where null.</param>
    /// <param name="progress">Is told how far each file is.</param>
    /// <param name="cancellationToken">Ends the fetching; what has arrived is kept.</param>
    /// <exception cref="HubException">Something could not be fetched, or there is no adapter.</exception>
    /// <exception cref="AdapterFileException">The tensors do not fit the configuration and the model.</exception>
    /// <exception cref="NotAdaptableException">The configuration chooses a module that cannot be adapted.</exception>
    public static async Task<AdaptedModel> LoadPretrainedFromHubAsync(this nn.Module model, string adapterId, string adapterName = AdaptedModel.DefaultAdapterName, bool isTrainable = false, string revision = "main", string? subfolder = null, HubOptions? options = null, IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        return model.LoadPretrained(await DownloadAsync(adapterId, revision, subfolder, options, progress, cancellationToken).ConfigureAwait(false), adapterName, isTrainable);
    }

    /// <summary>Fetches an adapter from the hub and adds it, as <see cref="AdaptedModel.LoadAdapter"/> does. It is inactive until <see cref="AdaptedModel.SetAdapter"/> names it.</summary>
    /// <param name="adapted">The model with its adapters.</param>
    /// <param name="adapterId">E.g. <c>owner/adapter</c>.</param>
    /// <param name="adapterName">The name the adapter gets.</param>
    /// <param name="isTrainable">Whether it can be trained on; otherwise it is frozen.</param>
    /// <param name="revision">A branch, a tag, or the hash of a commit.</param>
    /// <param name="subfolder">The adapter's folder in the repository, with slashes; null for its root.</param>
    /// <param name="options">Where the hub and the cache are, and the token; what the environment asks for where null.</param>
    /// <param name="progress">Is told how far each file is.</param>
    /// <param name="cancellationToken">Ends the fetching; what has arrived is kept.</param>
    /// <exception cref="HubException">Something could not be fetched, or there is no adapter.</exception>
    /// <exception cref="AdapterNameException">The name is taken or cannot be used.</exception>
    /// <exception cref="AdapterFileException">The tensors do not fit the configuration and the model.</exception>
    public static async Task LoadAdapterFromHubAsync(this AdaptedModel adapted, string adapterId, string adapterName = AdaptedModel.DefaultAdapterName, bool isTrainable = false, string revision = "main", string? subfolder = null, HubOptions? options = null, IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(adapted);
        adapted.LoadAdapter(await DownloadAsync(adapterId, revision, subfolder, options, progress, cancellationToken).ConfigureAwait(false), adapterName, isTrainable);
    }

    private static async Task<string> DownloadAsync(string adapterId, string revision, string? subfolder, HubOptions? options, IProgress<HubProgress>? progress, CancellationToken cancellationToken)
    {
        using var client = new HubClient(options);
        return await client.DownloadAdapterAsync(adapterId, revision, subfolder, progress, cancellationToken).ConfigureAwait(false);
    }
}
