using System.Globalization;
using Fossil.Concurrency;
using Fossil.Models.Gguf;
using Fossil.Models.Gguf.Blocks;
using Fossil.Models.Tokenizers;
using static TorchSharp.torch;

namespace Fossil.Models.Export;

/// <summary>A decoder as GGUF: metadata and tensors, in llama.cpp's names and order of rows.</summary>
internal static class GgufModelWriter
{
    private const uint QuantizationVersion = 2;

    // llama.cpp's mark of a type that is to be told from the tensors.
    private const uint GuessedFileType = 1024;

    /// <summary>Writes a model.</summary>
    /// <param name="path">The file.</param>
    /// <param name="config">The architecture.</param>
    /// <param name="parameters">The tensors by Hugging Face's names.</param>
    /// <param name="type">How matrices are stored.</param>
    /// <param name="tokenizer">The tokenizer; null to keep that of <paramref name="carried"/>, if there is one.</param>
    /// <param name="carried">Metadata to carry over; null for none.</param>
    public static void Save(string path, CausalLMConfig config, IReadOnlyDictionary<string, ModelTensor> parameters, GgufTensorType type, TokenizerDefinition? tokenizer, GgufMetadata? carried)
    {
        // What GGUF stacks has one name there.
        var tensors = parameters.Select(entry => (Number: GgufNames.NumberOf(entry.Key), Source: Source(entry.Key, entry.Value, config, type)))
            .GroupBy(entry => entry.Source.Name).Select(entries => Stacked([.. entries.OrderBy(entry => entry.Number).Select(entry => entry.Source)])).Concat(GgufRope.Tensors(config.Rope, config.RotaryDim)).ToList();
        GgufWriter.Save(path, Metadata(config, type, tensors, tokenizer, carried), tensors);
    }

    private static GgufMetadata Metadata(CausalLMConfig config, GgufTensorType type, IReadOnlyList<GgufTensorSource> tensors, TokenizerDefinition? tokenizer, GgufMetadata? carried)
    {
        var architecture = config.GgufArchitecture;
        var metadata = new GgufMetadata();
        metadata["general.architecture"] = GgufValue.Of(architecture);
        metadata["general.type"] = GgufValue.Of("model");
        foreach (var (key, value) in carried ?? [])
        {
            // Of another architecture, or of a tokenizer that is replaced, nothing is left.
            if (key.StartsWith("general.", StringComparison.Ordinal) || (tokenizer is null && key.StartsWith("tokenizer.", StringComparison.Ordinal)) || IsForeign(key)) metadata.TryAdd(key, value);
        }

        if (config.SlidingWindow is { } window && window < config.MaxPositionEmbeddings && !config.HasWindowInLlamaCpp)
        {
            FossilWarnings.Report(string.Create(CultureInfo.InvariantCulture, $"llama.cpp computes models of the architecture '{architecture}' without their sliding window: beyond {window} tokens its texts differ from this library's."));
        }

        foreach (var (key, value) in config.GgufFields()) metadata[$"{architecture}.{key}"] = GgufValue.Of(value);
        // The file's type is that of most of its matrices.
        var kept = tensors.Where(tensor => tensor.LoadBytes is not null).Select(tensor => tensor.Type).ToArray();
        metadata["general.file_type"] = GgufValue.Of(kept.Length == 0 ? FileType(type) : FileTypeOfKept(kept.CountBy(one => one).MaxBy(count => count.Value).Key));
        if (type.ToTorch() is null || kept.Length > 0) metadata["general.quantization_version"] = GgufValue.Of(QuantizationVersion);
        if (tokenizer is not null) GgufTokenizerWriter.Write(tokenizer, config.VocabSize, metadata);
        metadata.TryAdd(GgufTokenizer.Prefix + "model", GgufValue.Of(GgufTokenizer.NoModel));
        GgufTokenIds.Write(config, metadata);
        if (config.Generation is { } generation) GgufSampling.Write(generation, metadata);
        return metadata;
    }

    /// <summary>One of the model's tensors.</summary>
    private static GgufTensorSource Source(string name, ModelTensor parameter, CausalLMConfig config, GgufTensorType type)
    {
        var gguf = config.GgufNames.ToGguf(name) ?? throw new ExportException($"GGUF has no name for the parameter '{name}'.");
        if (parameter.Encoded is BlockWeight blocks) return new GgufTensorSource(gguf, blocks.Block.Type, parameter.Shape, () => blocks.ToTensor(ScalarType.Float32)) { LoadBytes = () => InOrder(blocks, config.InterleavedHeads(name)) };
        var stored = parameter.Shape.Length < 2 || config.IsFloat32InGguf(name) ? GgufTensorType.F32
            : parameter.Shape[^1] % type.Block().Elements != 0 ? GgufTensorType.F16
            : type;
        return new GgufTensorSource(gguf, stored, parameter.Shape, () =>
        {
            using var scope = NewDisposeScope();
            var rows = Interleave(parameter.Load(parameter.Encoded is null ? parameter.Dtype : ScalarType.Float32), config.InterleavedHeads(name));
            if (config.GgufAddition(name) is not 0 and var added) rows = rows.to(ScalarType.Float32).add(Scalars.Of(added), Scalars.One);
            if (stored == GgufTensorType.F16 && !HalfHolds(rows)) throw new ExportException($"'{name}' has elements beyond 65504 (or none at all), which F16 cannot hold. Write the model as BF16.");
            return rows.MoveToOuterDisposeScope();
        });
    }

    /// <summary>Tensors of one name as one, in the order of their numbers.</summary>
    public static GgufTensorSource Stacked(GgufTensorSource[] sources)
    {
        if (sources is [var only]) return only;
        long[] shape = [sources.Length, .. sources[0].Shape];
        var areKept = Array.TrueForAll(sources, source => source.LoadBytes is not null && source.Type == sources[0].Type);
        var type = areKept ? sources[0].Type : Array.Find(sources, source => source.LoadBytes is null)?.Type ?? GgufTensorType.F16;
        return new(sources[0].Name, type, shape, () => Joined(source => source.Load().to(ScalarType.Float32).unsqueeze(0))) { LoadBytes = areKept ? () => Joined(source => source.LoadBytes!()) : null };

        Tensor Joined(Func<GgufTensorSource, Tensor> load)
        {
            using var scope = NewDisposeScope();
            return cat([.. sources.Select(load)], 0).MoveToOuterDisposeScope();
        }
    }

    /// <summary>Rows in llama.cpp's order: in each head, the two halves of the rotary dimensions are interleaved.</summary>
    /// <param name="rows">A matrix (out, in) or vector (out) in Hugging Face's order.</param>
    /// <param name="heads">The number of heads; 0 for tensors whose rows stay as they are.</param>
    public static Tensor Interleave(Tensor rows, int heads)
    {
        if (heads == 0) return rows.alias();
        using var scope = NewDisposeScope();
        var half = rows.size(0) / heads / 2;
        return rows.reshape(heads, 2, half, -1).transpose(1, 2).reshape(rows.shape).MoveToOuterDisposeScope();
    }

    /// <summary>Rows of blocks in the order that the file is to have them.</summary>
    private static Tensor InOrder(BlockWeight blocks, int heads)
    {
        var order = heads == 0 ? default : new HeadOrder(blocks.OutFeatures / heads);
        if (order == blocks.Order) return blocks.Bytes.alias();
        using var scope = NewDisposeScope();
        var rows = new long[blocks.OutFeatures];
        for (long row = 0; row < rows.Length; row++) rows[order.InFile(row)] = blocks.Order.InFile(row);
        return blocks.Bytes.index_select(0, tensor(rows, device: blocks.Device)).MoveToOuterDisposeScope();
    }

    private static bool HalfHolds(Tensor rows)
    {
        using var scope = NewDisposeScope();
        return rows.numel() == 0 || rows.abs().max().to(ScalarType.Float32).item<float>() <= (float)Half.MaxValue;
    }

    private static bool IsForeign(string key) => !key.StartsWith("general.", StringComparison.Ordinal) && !key.StartsWith("tokenizer.", StringComparison.Ordinal) && !key.StartsWith(GgufSplit.Prefix, StringComparison.Ordinal) && !IsOfArchitecture(key);

    private static bool IsOfArchitecture(string key) =>
        AutoModelForCausalLM.Families.SelectMany(family => family.GgufArchitectures).Any(architecture => key.StartsWith(architecture + ".", StringComparison.Ordinal));

    // Types that are not written here are those of a file that was quantised elsewhere: llama.cpp's "medium" mixtures where there are several.
    private static uint FileTypeOfKept(GgufTensorType type) => type switch
    {
        GgufTensorType.Q2_K => 10,
        GgufTensorType.Q3_K => 12,
        GgufTensorType.Q4_K => 15,
        GgufTensorType.Q5_K => 17,
        GgufTensorType.Q6_K => 18,
        GgufTensorType.IQ4_NL => 25,
        GgufTensorType.IQ4_XS => 30,
        _ => GgufBlock.For(type) is { IsWritten: true } ? FileType(type) : GuessedFileType,
    };

    private static uint FileType(GgufTensorType type) => type switch
    {
        GgufTensorType.F32 => 0,
        GgufTensorType.F16 => 1,
        GgufTensorType.Q4_0 => 2,
        GgufTensorType.Q4_1 => 3,
        GgufTensorType.Q8_0 => 7,
        GgufTensorType.Q5_0 => 8,
        GgufTensorType.Q5_1 => 9,
        GgufTensorType.BF16 => 32,
        GgufTensorType.MXFP4 => 38,
        _ => throw new ExportException($"Matrices cannot be stored as {type}, only as {GgufWriter.WrittenTypes}."),
    };
}
