using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Fossil.Models.Export;
using Fossil.Models.Tokenizers;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>Writes a Hugging Face folder: <c>config.json</c> and <c>model.safetensors</c>, or several files with their index. All files change together.</summary>
internal static partial class HuggingFaceFolderWriter
{
    /// <summary>Writes a folder.</summary>
    /// <param name="folder">The folder; made where it does not exist.</param>
    /// <param name="parameters">The tensors by their names in the files.</param>
    /// <param name="config">The model's configuration.</param>
    /// <param name="dtype">dtype of the tensors in the file; that of the first one where null.</param>
    /// <param name="tokenizer">The tokenizer to write beside them; none where null.</param>
    /// <param name="maxShardBytes">Bytes of tensors in one file, from which on several are written.</param>
    /// <exception cref="ExportException">No model computes in the dtype.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written.</exception>
    public static void Save(string folder, IReadOnlyDictionary<string, ModelTensor> parameters, CausalLMConfig config, ScalarType? dtype, TokenizerDefinition? tokenizer, long maxShardBytes)
    {
        var stored = dtype ?? parameters.Values.First().Dtype;
        if (TorchDtypes.NameOf(stored) is not { } dtypeName || SafetensorsDtypes.FromTorch(stored) is not { } format) throw new ExportException($"No model is stored as {stored}. Choose one of {TorchDtypes.Names}.");
        var shards = new List<List<SafetensorsEntry>> { new() };
        long size = 0, total = 0;
        foreach (var (name, parameter) in parameters)
        {
            var bytes = parameter.Shape.Aggregate(1L, (product, dimension) => product * dimension) * format.BitSize() / 8;
            if (size > 0 && size + bytes > maxShardBytes)
            {
                shards.Add([]);
                size = 0;
            }

            shards[^1].Add(new SafetensorsEntry(name, format, parameter.Shape, stream => WriteBytes(stream, parameter, stored)));
            size += bytes;
            total += bytes;
        }

        string FileOf(int shard) => shards.Count == 1 ? HuggingFaceFolder.SingleFile : $"model-{shard + 1:D5}-of-{shards.Count:D5}.safetensors";
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
            files.Add((HuggingFaceFolder.IndexFile, stream => JsonFile.Write(stream, index)));
        }

        files.Add((CausalLMConfig.FileName, stream => JsonFile.Write(stream, config.ToJson(dtypeName))));
        if (config.Generation is { } generation) files.Add((GenerationConfig.FileName, stream => JsonFile.Write(stream, generation.ToJson())));
        if (tokenizer is not null) files.AddRange(HuggingFaceTokenizerWriter.Files(tokenizer));

        // What an earlier save in another number of files left would be taken for part of this one: what its index names, and the names that are written here. Others are the user's.
        // So would files of another tokenizer, and what another model said of generation.
        var indexed = new Lazy<HashSet<string>>(() => IndexedFiles(Path.Combine(folder, HuggingFaceFolder.IndexFile)));
        AtomicFolder.Write(
            folder,
            name => name is HuggingFaceFolder.SingleFile or HuggingFaceFolder.IndexFile or GenerationConfig.FileName || ShardName().IsMatch(name) || indexed.Value.Contains(name) || (tokenizer is not null && HuggingFaceTokenizer.FileNames.Contains(name)),
            files);
        if (tokenizer is not null) ChatTemplateFiles.WriteAdditional(folder, tokenizer);
    }

    /// <summary>The tensor files that an index names; none where it is not there or no index, which is then replaced all the same.</summary>
    private static HashSet<string> IndexedFiles(string index)
    {
        if (!File.Exists(index)) return [];
        try
        {
            return [.. HuggingFaceFolder.ReadIndex(index).Where(name => name.EndsWith(".safetensors", StringComparison.Ordinal))];
        }
        catch (CheckpointException)
        {
            return [];
        }
    }

    [GeneratedRegex(@"^model-\d{5}-of-\d{5}\.safetensors$", RegexOptions.CultureInvariant)]
    private static partial Regex ShardName();

    private static void WriteBytes(Stream stream, ModelTensor parameter, ScalarType stored)
    {
        using var noGrad = no_grad();
        using var converted = parameter.Load(stored);
        SafetensorsWriter.WriteTensor(stream, converted);
    }
}
