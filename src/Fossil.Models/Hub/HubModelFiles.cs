using System.Text.Json;
using Fossil.Models.Tokenizers;

namespace Fossil.Models.Hub;

/// <summary>What loading a model takes: configuration, tokenizer and weights as safetensors, one file or several with their index.</summary>
internal sealed class HubModelFiles : HubFileSet
{
    public static readonly HubModelFiles Instance = new();

    private HubModelFiles()
    {
    }

    public override IEnumerable<string> Needed(string id, IReadOnlyList<string> files)
    {
        CheckWeights(id, files);
        var isWhole = files.Contains(HuggingFaceFolder.SingleFile);
        bool IsNeeded(string file) => Path.GetDirectoryName(file) is "" or ChatTemplateFiles.AdditionalFolder
            && (isWhole && file == HuggingFaceFolder.SingleFile
                || !isWhole && (file == HuggingFaceFolder.IndexFile || (file.StartsWith("model-", StringComparison.Ordinal) && file.EndsWith(".safetensors", StringComparison.Ordinal)))
                || (file.EndsWith(".json", StringComparison.Ordinal) && !file.EndsWith(".index.json", StringComparison.Ordinal))
                || file.EndsWith(".jinja", StringComparison.Ordinal)
                || (file == SentencePieceModel.FileName && !files.Contains(HuggingFaceTokenizer.FileName)));
        return files.Where(IsNeeded);
    }

    public override bool IsComplete(HubCache cache, string commit)
    {
        if (cache.FindFile(commit, CausalLMConfig.FileName) is null) return false;
        if (cache.FindFile(commit, HuggingFaceFolder.SingleFile) is not null) return true;
        if (cache.FindFile(commit, HuggingFaceFolder.IndexFile) is not { } index) return false;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(index));
            var parts = document.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => entry.Value.GetString()).Distinct();
            return parts.All(part => part is not null && cache.FindFile(commit, HubCache.CheckFileName(part)) is not null);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new HubException(HubError.InvalidResponse, $"'{index}' in the cache is no index of weights. Delete it and fetch the model again.", exception);
        }
    }

    private static void CheckWeights(string id, IReadOnlyList<string> files)
    {
        if (files.Contains(HuggingFaceFolder.SingleFile) || files.Contains(HuggingFaceFolder.IndexFile)) return;
        if (files.Contains(AdapterConfig.FileName)) throw new HubException(HubError.FileNotFound, $"{id} is an adapter, not a model. Load the model that {AdapterConfig.FileName} names as base_model_name_or_path, and then the adapter into it: model.{nameof(HubAdapters.LoadPretrainedFromHubAsync)}(\"{id}\").");
        var gguf = files.Where(file => file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)).ToList();
        throw new HubException(HubError.FileNotFound, $"{id} has no weights as safetensors. " + (gguf.Count > 0
            ? $"It has GGUF files, of which one can be named (fileName): {string.Join(", ", gguf.Take(20))}{(gguf.Count > 20 ? ", …" : "")}."
            : "Other forms (pytorch_model.bin) are not read: choose a model that has them, or have transformers convert it."));
    }
}
