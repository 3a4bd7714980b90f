using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Fossil.Concurrency;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models;

// Files for other programs: Hugging Face folders and GGUF.
public sealed partial class LlamaForCausalLM
{
    /// <summary>Bytes of tensors in one file, from which on several are written; transformers' own limit.</summary>
    public const long DefaultMaxShardBytes = 50_000_000_000;

    /// <summary>
    /// Writes the model as a Hugging Face folder: <c>config.json</c> and <c>model.safetensors</c>, or several files with their index. All files change together.
    /// Adapters are not written, nor what they train of the base: merge them first, or save them on their own.
    /// </summary>
    /// <param name="folder">The folder; made where it does not exist.</param>
    /// <param name="dtype">dtype of the tensors in the file; the parameters' own where null.</param>
    /// <param name="tokenizer">The tokenizer to write beside it: its files are copied, or made where it comes from a GGUF file. None where null.</param>
    /// <param name="maxShardBytes">Bytes of tensors in one file, from which on several are written.</param>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is, unless <see cref="AtomicWriteException.IsCommitted"/>.</exception>
    public void SavePretrained(string folder, ScalarType? dtype = null, PretrainedTokenizer? tokenizer = null, long maxShardBytes = DefaultMaxShardBytes)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        using var entry = ModelGuard.Of(this).EnterToSave();
        using var withoutActive = AdaptedModel.WithoutActive(this);
        var parameters = CheckpointParameters();
        var stored = dtype ?? parameters.Values.First().dtype;
        var format = SafetensorsDtypes.FromTorch(stored) ?? throw new ExportException($"safetensors cannot hold {stored}. Choose float32, bfloat16 or float16.");
        var shards = new List<List<SafetensorsEntry>> { new() };
        long size = 0, total = 0;
        foreach (var (name, parameter) in parameters)
        {
            var bytes = parameter.numel() * format.BitSize() / 8;
            if (size > 0 && size + bytes > maxShardBytes)
            {
                shards.Add([]);
                size = 0;
            }

            shards[^1].Add(new SafetensorsEntry(name, format, parameter.shape, stream => WriteBytes(stream, parameter, stored)));
            size += bytes;
            total += bytes;
        }

        string FileOf(int shard) => shards.Count == 1 ? SingleFile : $"model-{shard + 1:D5}-of-{shards.Count:D5}.safetensors";
        var files = new List<(string Name, Action<Stream> Write)>();
        for (var shard = 0; shard < shards.Count; shard++)
        {
            var entries = shards[shard];
            files.Add((FileOf(shard), stream => SafetensorsWriter.Write(stream, entries, [new("format", "pt")], null)));
        }

        if (shards.Count > 1)
        {
            var map = shards.SelectMany((entries, shard) => entries.Select(entry => KeyValuePair.Create(entry.Name, (JsonNode?)FileOf(shard)))).OrderBy(entry => entry.Key, StringComparer.Ordinal);
            var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = new JsonObject(map) };
            files.Add((IndexFile, stream => JsonFile.Write(stream, index)));
        }

        files.Add((LlamaConfig.FileName, stream => JsonFile.Write(stream, Config.ToJson(NameOf(stored)))));
        if (tokenizer is not null) files.AddRange(HuggingFaceTokenizerWriter.Files(tokenizer.Definition));

        // What an earlier save in another number of files left would be taken for part of this one: what its index names, and the names that are written here. Others are the user's.
        // So would files of another tokenizer.
        var indexed = new Lazy<HashSet<string>>(() => IndexedFiles(Path.Combine(folder, IndexFile)));
        AtomicFolder.Write(
            folder,
            name => name is SingleFile or IndexFile || ShardName().IsMatch(name) || indexed.Value.Contains(name) || (tokenizer is not null && HuggingFaceTokenizer.FileNames.Contains(name)),
            files);
        if (tokenizer is not null) ChatTemplateFiles.WriteAdditional(folder, tokenizer.Definition);
    }

    /// <summary>The tensor files that an index names; none where it is not there or no index, which is then replaced all the same.</summary>
    private static HashSet<string> IndexedFiles(string index)
    {
        if (!File.Exists(index)) return [];
        try
        {
            return [.. ReadIndex(index).Where(name => name.EndsWith(".safetensors", StringComparison.Ordinal))];
        }
        catch (CheckpointException)
        {
            return [];
        }
    }

    [GeneratedRegex(@"^model-\d{5}-of-\d{5}\.safetensors$", RegexOptions.CultureInvariant)]
    private static partial Regex ShardName();

    /// <summary>Writes the model as a GGUF file for llama.cpp, Ollama and LLamaSharp. Adapters are not written, nor what they train of the base: merge them first, or save them on their own.</summary>
    /// <param name="path">The file.</param>
    /// <param name="type">How matrices are stored: F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0 or MXFP4. Vectors are always F32, and matrices whose rows are no multiple of 32 elements F16 instead of a quantised type.</param>
    /// <param name="tokenizer">The tokenizer to put into the file; none where null, then llama.cpp cannot run it as it stands.</param>
    /// <param name="metadata">Further metadata to carry over, e.g. that of the GGUF file that the model comes from. What follows from the model itself is written anew.</param>
    /// <exception cref="ExportException">A weight is beyond what F16 can hold, or GGUF has no name for the tokenizer's pre-tokenizer.</exception>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is.</exception>
    public void SaveGguf(string path, GgufTensorType type = GgufTensorType.F16, PretrainedTokenizer? tokenizer = null, GgufMetadata? metadata = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var entry = ModelGuard.Of(this).EnterToSave();
        using var withoutActive = AdaptedModel.WithoutActive(this);
        var tensors = CheckpointParameters().Select(entry => GgufModelWriter.Source(entry.Key, entry.Value, Config, type)).ToList();
        if (Config.Rope.Type == RopeType.Llama3) tensors.Add(GgufModelWriter.RopeFactors(Config));
        GgufWriter.Save(path, GgufModelWriter.Metadata(Config, type, tokenizer?.Definition, metadata), tensors);
    }

    private static void WriteBytes(Stream stream, Tensor parameter, ScalarType stored)
    {
        using var noGrad = no_grad();
        using var detached = parameter.detach();
        using var converted = detached.to(stored);
        SafetensorsWriter.WriteTensor(stream, converted);
    }
}
