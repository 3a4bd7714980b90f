using Fossil.Models.Checkpoints.Quantised;
using Fossil.Models.Gguf;
using Fossil.Models.Hub;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>Loads decoders of given families, wherever their files are found: in a folder, as a GGUF file, or on the hub.</summary>
internal static class CausalLMLoader
{
    /// <summary>From a Hugging Face folder.</summary>
    public static CausalLM FromPretrained(string folder, IReadOnlyList<CausalLMFamily> families, LoadDtype? dtype, Device? device, bool keepQuantized)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        QuantisationConfig? quantisation = null;
        Func<ScalarType?>? stated = null;
        using var files = HuggingFaceFolder.Open(
            folder,
            json =>
            {
                quantisation = QuantisationConfig.Read(json);
                stated = () => TorchDtypes.Stated(json);
                return CausalLMFamily.Read(json, families);
            },
            out var config);
        return Load(config, new QuantisedTensors(files, quantisation!, keepQuantized), Resolve(dtype, () => stated!() ?? files.FirstDtype()), device, folder);
    }

    /// <summary>From a GGUF file.</summary>
    public static CausalLM FromGguf(string path, IReadOnlyList<CausalLMFamily> families, LoadDtype? dtype, Device? device, KeptBlocks kept)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var model = FromOpened();
        // What was read to find the tensors, a vocabulary's strings above all, would stay until a collection that a model outside the managed heap gives no reason for.
        if (kept.Keeps) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
        return model;

        CausalLM FromOpened()
        {
            using var file = GgufFile.Open(path);
            return FromGguf(file, families, dtype, device, kept);
        }
    }

    /// <summary>From an open GGUF file, which stays the caller's.</summary>
    public static CausalLM FromGguf(GgufFile file, IReadOnlyList<CausalLMFamily> families, LoadDtype? dtype, Device? device, KeptBlocks kept)
    {
        ArgumentNullException.ThrowIfNull(file);
        file.CheckUnchanged();
        var config = CausalLMFamily.Read(file, families);
        return Load(config, new GgufTensors(file, config, kept), Resolve(dtype, () => float32), device, file.Path);
    }

    /// <summary>From the hub: its files, or one GGUF file, are fetched into the cache and loaded from there.</summary>
    public static async Task<CausalLM> FromHubAsync(string modelId, IReadOnlyList<CausalLMFamily> families, LoadDtype? dtype, Device? device, string revision, HubOptions? options, IProgress<HubProgress>? progress, string? fileName, bool keepQuantized, CancellationToken cancellationToken)
    {
        using var client = new HubClient(options);
        var model = fileName is null
            ? FromPretrained(await client.DownloadModelAsync(modelId, revision, progress, cancellationToken).ConfigureAwait(false), families, dtype, device, keepQuantized)
            : FromGguf(await client.DownloadGgufAsync(modelId, fileName, revision, progress, cancellationToken).ConfigureAwait(false), families, dtype, device, KeptBlocks.Of(keepQuantized, mapped: true));
        model.NameOrPath = modelId;
        return model;
    }

    private static ScalarType Resolve(LoadDtype? dtype, Func<ScalarType> own) => (dtype ?? float32).Resolve(own);

    private static CausalLM Load(CausalLMConfig config, ITensorSource tensors, ScalarType dtype, Device? device, string path)
    {
        var model = config.Allocate(dtype, device);
        try
        {
            CheckpointReader.Fill(model, tensors);
            model.eval();
            model.NameOrPath = path;
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }
}
