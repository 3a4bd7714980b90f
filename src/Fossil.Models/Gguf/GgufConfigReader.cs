namespace Fossil.Models.Gguf;

/// <summary>Reads a decoder's configuration from a GGUF file's metadata and the shapes of its tensors; what is missing, contradictory or not supported is an error.</summary>
internal sealed class GgufConfigReader
{
    /// <exception cref="GgufException">The file is no model.</exception>
    public GgufConfigReader(GgufFile file)
    {
        File = file;
        Architecture = Metadata.GetString("general.architecture");
        if (Metadata.FindString("general.type") is { } type && type != "model") throw Unsupported($"is of type '{type}', not a model. An adapter is loaded on its base model.");
    }

    /// <summary>The file.</summary>
    public GgufFile File { get; }

    /// <summary>Its metadata.</summary>
    public GgufMetadata Metadata => File.Metadata;

    /// <summary>llama.cpp's name of the family, which its keys begin with.</summary>
    public string Architecture { get; }

    /// <summary>Refuses a mixture of experts.</summary>
    public GgufConfigReader ExpectDense() => FindCount("expert_count") > 0 ? throw Unsupported("is a mixture of experts, which this decoder does not do.") : this;

    /// <summary>Whether the file has a tensor of that name.</summary>
    public bool Contains(string tensor) => File.Contains(tensor);

    /// <summary>A count of the architecture; null where it is not there.</summary>
    public int? FindCount(string key) => Metadata.FindCount(Key(key));

    /// <summary>A number of the architecture; null where it is not there.</summary>
    public double? FindNumber(string key) => Metadata.FindNumber(Key(key));

    /// <summary>A string of the architecture; null where it is not there.</summary>
    public string? FindString(string key) => Metadata.FindString(Key(key));

    /// <summary>The layers that have the sliding window; null where the file leaves it to the architecture.</summary>
    /// <remarks>Newer files state a period, of which the last layer has none, or a truth value a layer.</remarks>
    public bool[]? FindSlidingLayers(int layers)
    {
        var key = Key("attention.sliding_window_pattern");
        if (!Metadata.TryGetValue(key, out var pattern)) return null;
        if (pattern.Value is not Array) return Metadata.FindCount(key) is > 0 and var period ? [.. Enumerable.Range(0, layers).Select(layer => layer % period < period - 1)] : [.. Enumerable.Repeat(true, layers)];
        if (pattern.Value is bool[] flags && flags.Length >= layers) return flags[..layers];
        throw Contradiction($"states '{key}' as {pattern}, which is no truth value for each of {layers} layers.");
    }

    /// <summary>The number of layers, whose attention the file has.</summary>
    public int Layers()
    {
        var layers = Metadata.GetCount(Key("block_count"));
        for (var layer = 0; layer < layers; layer++) File.GetInfo($"blk.{layer}.{(IsFused ? "attn_qkv" : "attn_q")}.weight");
        return layers > 0 ? layers : throw Contradiction("has no layers.");
    }

    /// <summary>Query heads, key and value heads, and the width of a head, which agree with the attention's rows.</summary>
    public (int Heads, int KeyValueHeads, int HeadDim) Heads(int hidden)
    {
        var heads = Metadata.GetCount(Key("attention.head_count"));
        var keyValueHeads = FindCount("attention.head_count_kv") ?? heads;
        if (heads == 0 || keyValueHeads == 0 || heads % keyValueHeads != 0) throw Contradiction($"has {heads} attention heads, which {keyValueHeads} key and value heads do not divide.");
        var headDim = FindCount("attention.key_length") ?? hidden / heads;
        if (headDim == 0 || headDim % 2 != 0) throw Contradiction($"has heads of {headDim} dimensions; rotary positions need an even number.");
        if (FindCount("attention.value_length") is { } valueDim && valueDim != headDim) throw Unsupported($"has keys of {headDim} and values of {valueDim} dimensions, which this decoder does not do.");
        var (tensor, rows) = IsFused ? ("blk.0.attn_qkv.weight", (heads + (2L * keyValueHeads)) * headDim) : ("blk.0.attn_q.weight", (long)heads * headDim);
        if (Rows(tensor) != rows) throw Contradiction($"has {heads} heads of {headDim} dimensions, but {tensor} has {Rows(tensor)} rows.");
        return (heads, keyValueHeads, headDim);
    }

    /// <summary>The width inside the feed-forward block. Of a file whose layers all have experts it is the width of what is not there, and need not be stated.</summary>
    public int FeedForward() => Contains("blk.0.ffn_down_exps.weight") ? Math.Max(1, FindCount("feed_forward_length") ?? 1) : Agreed("feed_forward_length", "blk.0.ffn_down.weight", 1);

    /// <summary>A count that is a dimension of a tensor.</summary>
    public int Agreed(string key, string tensor, int dimension)
    {
        var stated = Metadata.GetCount(Key(key));
        var shape = File.GetInfo(tensor).Shape;
        return dimension < shape.Count && shape[dimension] == stated
            ? stated
            : throw Contradiction($"states '{Key(key)}' as {stated}, but {tensor} has shape [{string.Join(", ", shape)}].");
    }

    /// <summary>The first dimension of a tensor.</summary>
    public long Rows(string tensor) => File.GetInfo(tensor).Shape[0];

    /// <summary>The error of a file that says something a decoder does not do.</summary>
    public GgufException Unsupported(string problem) => new(GgufError.UnsupportedModel, File.Path, $"the file {problem}");

    /// <summary>The error of a file that contradicts itself.</summary>
    public GgufException Contradiction(string problem) => new(GgufError.InvalidValue, File.Path, $"the file {problem} It is damaged.");

    /// <summary>Whether queries, keys and values are one matrix.</summary>
    private bool IsFused => Contains("blk.0.attn_qkv.weight");

    private string Key(string name) => $"{Architecture}.{name}";
}
