using System.Text.Json.Nodes;

namespace Fossil.Models;

/// <summary>What a checkpoint says of generation: Hugging Face's <c>generation_config.json</c>. Fields that are not properties here are kept, and written again.</summary>
public sealed record GenerationConfig
{
    /// <summary>Name of the file in a model folder.</summary>
    public const string FileName = "generation_config.json";

    // What transformers takes where a checkpoint that samples does not say.
    private const double DefaultTemperature = 1;
    private const int DefaultTopK = 50;

    private readonly JsonObject others = [];

    /// <summary>Ids of the tokens that end a text; empty where the file says none, then those of <c>config.json</c> count.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Id of the token that begins a text.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Id of the padding token.</summary>
    public int? PadTokenId { get; init; }

    /// <summary>Whether tokens are drawn; otherwise the likeliest is taken, and temperature, top-k, top-p and min-p do not count.</summary>
    public bool DoSample { get; init; }

    /// <summary>Divides the logits; 1 where null.</summary>
    public double? Temperature { get; init; }

    /// <summary>Only so many of the likeliest tokens are drawn from; 50 where null, all where 0.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the likeliest tokens that together reach this probability are drawn from; all where null.</summary>
    public double? TopP { get; init; }

    /// <summary>Only tokens are drawn that have at least this share of the likeliest one's probability; all where null.</summary>
    public double? MinP { get; init; }

    /// <summary>Divides the positive logits, and multiplies the negative ones, of tokens that stand in the text already; 1 where null.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>Reads a <c>generation_config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabSize">Number of the model's token ids; what is none of them, such as -1, is no token.</param>
    /// <exception cref="CheckpointException">The file cannot be read, or a field has no value that generation can have.</exception>
    public static GenerationConfig Load(string path, int vocabSize)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var json = ModelConfigReader.Open(path);
        return new GenerationConfig(json.Fields())
        {
            EosTokenIds = json.TokenIds("eos_token_id", vocabSize),
            BosTokenId = json.TokenId("bos_token_id", vocabSize),
            PadTokenId = json.TokenId("pad_token_id", vocabSize),
            DoSample = json.Flag("do_sample") ?? false,
            Temperature = Checked("temperature", value => value >= 0, "at least 0"),
            TopK = (int?)Checked("top_k", value => value is >= 0 and <= int.MaxValue && value == Math.Floor(value), "a whole number of at least 0"),
            TopP = Checked("top_p", value => value is >= 0 and <= 1, "a probability"),
            MinP = Checked("min_p", value => value is >= 0 and <= 1, "a probability"),
            RepetitionPenalty = Checked("repetition_penalty", value => value > 0, "above 0"),
        };

        double? Checked(string name, Func<double, bool> isRight, string expected) => json.Number(name) is not { } value || isRight(value) ? json.Number(name) : throw json.Error($"has {name} {value}; it must be {expected}");
    }

    private GenerationConfig(JsonObject fields) => others = fields;

    /// <summary>Creates one that says nothing.</summary>
    public GenerationConfig()
    {
    }

    /// <summary>The content of <c>generation_config.json</c>.</summary>
    public JsonObject ToJson()
    {
        var json = (JsonObject)others.DeepClone();
        Set("bos_token_id", BosTokenId);
        Set("eos_token_id", JsonOf(EosTokenIds));
        Set("pad_token_id", PadTokenId);
        Set("do_sample", DoSample || json.ContainsKey("do_sample") ? DoSample : null);
        Set("temperature", Temperature);
        Set("top_k", TopK);
        Set("top_p", TopP);
        Set("min_p", MinP);
        Set("repetition_penalty", RepetitionPenalty);
        return json;

        void Set(string name, JsonNode? value)
        {
            // A value that did not change is written as it was: 1 and 1.0 are the same.
            if (value is null) json.Remove(name);
            else if (json[name] is not { } old || !JsonNode.DeepEquals(old, value)) json[name] = value;
        }
    }

    /// <summary>The same as options of <see cref="CausalLM.Generate(IReadOnlyList{int}, GenerationOptions, Action{int}, CancellationToken)"/>, as transformers applies it.</summary>
    public GenerationOptions ToOptions()
    {
        var options = new GenerationOptions { RepetitionPenalty = RepetitionPenalty ?? 1 };
        if (!DoSample) return options;
        return options with
        {
            Temperature = Temperature ?? DefaultTemperature,
            TopK = (TopK ?? DefaultTopK) is > 0 and var k ? k : null,

            // transformers keeps one token of the probability 0.
            TopP = TopP is { } p ? Math.Max(p, double.Epsilon) : null,
            MinP = MinP,
        };
    }

    /// <summary>Ids as Hugging Face writes them: one, or a list; null where there is none.</summary>
    internal static JsonNode? JsonOf(IReadOnlyList<int> ids) => ids.Count switch
    {
        0 => null,
        1 => ids[0],
        _ => new JsonArray([.. ids.Select(id => (JsonNode)id)]),
    };
}
