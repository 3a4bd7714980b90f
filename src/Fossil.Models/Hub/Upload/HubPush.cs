namespace Fossil.Models.Hub;

/// <summary>Uploads adapters to the hub (PEFT: <c>push_to_hub</c>).</summary>
public static class HubPush
{
    /// <summary>
    /// Uploads an adapter as <see cref="AdaptedModel.SavePretrained"/> writes it, with a model card: all in one commit, or none of it. The repository is made where it is missing; in a card that is
    /// there, only what belongs to the adapter changes.
    /// </summary>
    /// <param name="adapted">The model with the adapter.</param>
    /// <param name="modelId">The repository, e.g. <c>owner/adapter</c>; without an owner it is the token's.</param>
    /// <param name="adapterName">Which adapter.</param>
    /// <param name="upload">Message, branch, privacy and more.</param>
    /// <param name="options">Where the hub is, and the token, which must be allowed to write; what the environment asks for where null.</param>
    /// <param name="progress">Is told how far each large file is.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="HubException">It could not be uploaded; <see cref="HubException.Error"/> says why.</exception>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    /// <exception cref="AdapterCombinationException">Attributes gave its targets different settings, which PEFT's configuration cannot say.</exception>
    public static Task<HubCommit> PushToHubAsync(this AdaptedModel adapted, string modelId, string adapterName = AdaptedModel.DefaultAdapterName, HubUpload? upload = null, HubOptions? options = null, IProgress<HubProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(adapted);
        return PushAsync(
            modelId, upload, options, progress,
            folder => adapted.SavePretrained(folder, adapterName),
            (card, id, folder) => ModelCards.OfAdapter(card, id, AdapterConfig.Load(folder), adapted.Model), cancellationToken);
    }

    /// <summary>Saves into a folder of its own, adds the card, and uploads both.</summary>
    internal static async Task<HubCommit> PushAsync(string modelId, HubUpload? upload, HubOptions? options, IProgress<HubProgress>? progress, Action<string> save, Func<string, string, string, string> card, CancellationToken cancellationToken)
    {
        upload ??= new HubUpload();
        using var client = new HubClient(options);
        client.CheckUpload(modelId, upload);
        var folder = Directory.CreateTempSubdirectory("fossil-push-").FullName;
        try
        {
            save(folder);
            return await client.UploadAsync(modelId, folder, upload, CompleteAsync, progress, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        async Task CompleteAsync(string id)
        {
            var existing = await client.FindTextAsync(id, upload.Folder is null ? ModelCard.FileName : $"{upload.Folder.TrimEnd('/')}/{ModelCard.FileName}", upload.Revision, cancellationToken).ConfigureAwait(false);
            await File.WriteAllTextAsync(Path.Combine(folder, ModelCard.FileName), card(existing ?? string.Empty, id, folder), cancellationToken).ConfigureAwait(false);
        }
    }
}
