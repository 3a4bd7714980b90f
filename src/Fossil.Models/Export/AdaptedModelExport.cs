using Fossil.Adapters;
using Fossil.Concurrency;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Export;

/// <summary>Writes adapted decoders and their adapters for other programs.</summary>
public static class AdaptedModelExport
{
    /// <summary>
    /// Writes an adapter as a GGUF LoRA, which llama.cpp, Ollama and LLamaSharp load beside the base model. FOSSIL Balance, padded and Mini lose nothing: A is
    /// the 0/1 matrix that sums the chunks, B is the transposed shard, alpha is r. The rows of B of q and k are interleaved as the base's are.
    /// </summary>
    /// <param name="adapted">The adapted <see cref="CausalLM"/>.</param>
    /// <param name="path">The file.</param>
    /// <param name="adapterName">The adapter.</param>
    /// <param name="name">The name that the file shall state; that of the file where null.</param>
    /// <param name="rank">For adapters that are no LoRA (Bat, DoRA): how many singular values to keep.</param>
    /// <param name="energy">Instead of a rank: the smallest one that keeps this share, from 0 to 1, of the sum of their squares.</param>
    /// <exception cref="ExportException">The model is no <see cref="CausalLM"/>.</exception>
    /// <exception cref="AdapterCombinationException">A rank or share is needed or does not fit, or the adapter trains parameters of the base.</exception>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is.</exception>
    public static void SaveGgufLora(this AdaptedModel adapted, string path, string adapterName = AdaptedModel.DefaultAdapterName, string? name = null, int? rank = null, double? energy = null)
    {
        ArgumentNullException.ThrowIfNull(adapted);
        ArgumentException.ThrowIfNullOrEmpty(path);
        var config = ModelOf(adapted).CommonConfig;
        using var changes = adapted.OpenChanges(adapterName, rank, energy);
        CheckUntied(adapterName, config, changes);
        var ranks = changes.Changes.Select(change => change.A.size(0)).Distinct().ToArray();

        // llama.cpp scales by alpha / rank, and by nothing where alpha is 0: the only value that fits several ranks.
        var alpha = ranks.Length == 1 ? ranks[0] : 0f;
        var metadata = new GgufMetadata
        {
            ["general.architecture"] = GgufValue.Of(config.GgufArchitecture),
            ["general.type"] = GgufValue.Of("adapter"),
            ["adapter.type"] = GgufValue.Of("lora"),
            ["adapter.lora.alpha"] = GgufValue.Of(alpha),
            ["general.name"] = GgufValue.Of(name ?? NameOf(path)),
        };
        var modules = ModelOf(adapted).named_modules().Select(entry => config.GgufNames.ToGguf(entry.name + ".weight") ?? string.Empty).CountBy(gguf => gguf).ToDictionary();
        GgufWriter.Save(path, metadata, [.. changes.Changes.OrderBy(change => change.Target.Path, StringComparer.Ordinal).GroupBy(change => NameOf(change.Target, config)).SelectMany(group => Sources(group.Key, [.. group], modules[group.Key], config))]);
    }

    /// <summary>Writes the model with its merged and its active adapters merged into it as a Hugging Face folder: as it computes. The model itself stays as it is, to the bit.</summary>
    /// <param name="adapted">The adapted <see cref="CausalLM"/>.</param>
    /// <param name="folder">The folder; made where it does not exist.</param>
    /// <param name="dtype">dtype of the tensors in the file; the parameters' own where null.</param>
    /// <param name="tokenizer">The tokenizer to write beside it; none where null.</param>
    /// <param name="maxShardBytes">Bytes of tensors in one file, from which on several are written.</param>
    /// <exception cref="ExportException">The model is no <see cref="CausalLM"/>.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is.</exception>
    public static void SaveMergedPretrained(this AdaptedModel adapted, string folder, ScalarType? dtype = null, PretrainedTokenizer? tokenizer = null, long maxShardBytes = CausalLM.DefaultMaxShardBytes) =>
        WithMerged(adapted, null, model => model.SavePretrained(folder, dtype, tokenizer, maxShardBytes));

    /// <summary>Writes the model with its merged and its active adapters merged into it as a GGUF file: as it computes. The model itself stays as it is, to the bit.</summary>
    /// <param name="adapted">The adapted <see cref="CausalLM"/>.</param>
    /// <param name="path">The file.</param>
    /// <param name="type">How matrices are stored: F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0 or MXFP4.</param>
    /// <param name="tokenizer">The tokenizer to put into the file; none where null.</param>
    /// <param name="metadata">Further metadata to carry over, e.g. that of the GGUF file that the model comes from.</param>
    /// <exception cref="ExportException">The model is no <see cref="CausalLM"/>, a weight is beyond what F16 can hold, or GGUF has no name for the tokenizer's pre-tokenizer.</exception>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is.</exception>
    public static void SaveMergedGguf(this AdaptedModel adapted, string path, GgufTensorType type = GgufTensorType.F16, PretrainedTokenizer? tokenizer = null, GgufMetadata? metadata = null) =>
        WithMerged(adapted, type, model => model.SaveGguf(path, type, tokenizer, metadata));

    private static void WithMerged(AdaptedModel adapted, GgufTensorType? type, Action<CausalLM> save)
    {
        ArgumentNullException.ThrowIfNull(adapted);
        var model = ModelOf(adapted);
        using var entry = ModelGuard.Of(model).EnterToSave();
        if (type?.ToTorch() is null && type?.BitsAWeight() < 6)
            FossilWarnings.Report($"The merged weights are stored as {type}, whose steps are wider than most of what an adapter changes: it is lost in rounding. Store them as Q8_0, F16 or BF16, or leave the base as it is and save the adapter beside it (SaveGgufLora).");
        else if (model.modules().OfType<EncodableModule>().Any(module => !module.IsFloatingPoint))
            FossilWarnings.Report("The base is quantised, and what adapters change of it is written dequantised. Quantised to four bits again, it loses most of what they changed: keep the adapter beside the base (SaveGgufLora) where the file must stay small.");
        using var merged = adapted.MergeActive();
        save(model);
    }

    private static CausalLM ModelOf(AdaptedModel adapted) => adapted.Model as CausalLM
        ?? throw new ExportException($"The adapted model is a {adapted.Model.GetType().Name}. Only {nameof(CausalLM)} can be exported in this form.");

    // "miss-r16.lora.gguf" is miss-r16.
    private static string NameOf(string path) => Path.GetFileName(path).Split('.')[0];

    private static string NameOf(AdaptedTarget target, CausalLMConfig config) =>
        config.GgufNames.ToGguf(target.Path + ".weight") ?? throw new ExportException($"GGUF has no name for the adapted module '{target.Path}'.");

    /// <summary>A and B of the modules that have one name in GGUF: of one, or of all experts of a layer, which are stacked.</summary>
    private static IEnumerable<GgufTensorSource> Sources(string gguf, LowRankChange[] changes, int modules, CausalLMConfig config)
    {
        if (changes.Length < modules)
            throw new ExportException($"The adapter is on some of the modules that GGUF stacks as '{gguf}', such as '{changes[0].Target.Path}', and not on all of them. Use SaveMergedGguf.");
        if (changes.Select(change => change.A.size(0)).Distinct().Count() > 1)
            throw new ExportException($"The adapter has several ranks on the modules that GGUF stacks as '{gguf}', such as '{changes[0].Target.Path}'. Use SaveMergedGguf.");
        var ordered = changes.OrderBy(change => GgufNames.NumberOf(change.Target.Path)).Select(change => Sources(gguf, change, config)).ToArray();
        return [GgufModelWriter.Stacked([.. ordered.Select(source => source.A)]), GgufModelWriter.Stacked([.. ordered.Select(source => source.B)])];
    }

    // llama.cpp looks the rows of an embedding's A up by token.
    private static (GgufTensorSource A, GgufTensorSource B) Sources(string gguf, LowRankChange change, CausalLMConfig config) =>
    (
        change.Target.IsEmbedding
            ? new GgufTensorSource(gguf + ".lora_a", GgufTensorType.F32, [change.A.size(1), change.A.size(0)], change.A.t)
            : new GgufTensorSource(gguf + ".lora_a", GgufTensorType.F32, change.A.shape, change.A.alias),
        new GgufTensorSource(gguf + ".lora_b", GgufTensorType.F32, change.B.shape, () => GgufModelWriter.Interleave(change.B, config.InterleavedHeads(change.Target.Path + ".weight")))
    );

    /// <summary>A GGUF file of a tied model has one matrix for both ends, to which llama.cpp would apply an adapter of either end twice, or not at all.</summary>
    private static void CheckUntied(string adapterName, CausalLMConfig config, LowRankChanges changes)
    {
        if (config.TieWordEmbeddings && changes.Changes.FirstOrDefault(change => change.Target.Path is "lm_head" or "model.embed_tokens") is { } tied)
            throw new ExportException($"'{adapterName}' adapts '{tied.Target.Path}', which in a GGUF file of this model is one matrix with the other end of it (tie_word_embeddings), so a GGUF LoRA cannot say that. Use SaveMergedGguf.");
    }
}
