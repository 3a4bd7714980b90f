using System.Text.Json.Nodes;
using Fossil.Methods.Lora;
using Fossil.Targets;

namespace Fossil;

/// <summary>The configuration of LoRA, rank-stabilised LoRA, DoRA and PiSSA (PEFT: <c>tuners/lora/config.py</c>).</summary>
public sealed record LoraConfig : AdapterConfig
{
    internal const string PeftTypeName = "LORA";

    private static readonly Dictionary<string, JsonNode?> Unsupported = new(StringComparer.Ordinal)
    {
        ["alora_invocation_tokens"] = null,
        ["arrow_config"] = null,
        ["corda_config"] = null,
        ["eva_config"] = null,
        ["fan_in_fan_out"] = false,
        ["kasa_config"] = null,
        ["layer_replication"] = null,
        ["loftq_config"] = new JsonObject(),
        ["lora_bias"] = false,
        ["lora_ga_config"] = null,
        ["megatron_config"] = null,
        ["megatron_core"] = "megatron.core",
        ["monteclora_config"] = null,
        ["qalora_group_size"] = 16,
        ["target_parameters"] = null,
        ["trainable_token_indices"] = null,
        ["use_bdlora"] = null,
        ["use_qalora"] = false,
        ["velora_config"] = null,
    };

    /// <summary>A configuration with PEFT's defaults.</summary>
    public LoraConfig()
    {
    }

    internal LoraConfig(AdapterConfigReader reader)
        : base(reader)
    {
        Rank = reader.Integer(LoraSettings.Rank);
        Alpha = reader.Number(LoraSettings.Alpha);
        Dropout = reader.Number(LoraSettings.Dropout);
        UseRslora = reader.Boolean(LoraSettings.UseRslora);
        UseDora = reader.Boolean(LoraSettings.UseDora);
        EnsureWeightTying = reader.Boolean(LoraSettings.EnsureWeightTying);
        InitLoraWeights = LoraInitialization.Read(reader, "init_lora_weights");
        RankPattern = reader.Patterns("rank_pattern", reader.AsInteger);
        AlphaPattern = reader.Patterns("alpha_pattern", reader.AsNumber);
    }

    /// <inheritdoc/>
    public override string PeftType => PeftTypeName;

    /// <summary>Rank r (<c>r</c>).</summary>
    public int Rank { get; init; } = LoraSettings.Rank.Default;

    /// <summary>Alpha; the product is scaled by alpha / r (<c>lora_alpha</c>).</summary>
    public double Alpha { get; init; } = LoraSettings.Alpha.Default;

    /// <summary>Dropout probability on x before A (<c>lora_dropout</c>).</summary>
    public double Dropout { get; init; } = LoraSettings.Dropout.Default;

    /// <summary>Scales by alpha / √r instead (arXiv 2312.03732; <c>use_rslora</c>).</summary>
    public bool UseRslora { get; init; } = LoraSettings.UseRslora.Default;

    /// <summary>Learns the magnitude of each output beside the direction (DoRA, arXiv 2402.09353; <c>use_dora</c>).</summary>
    public bool UseDora { get; init; } = LoraSettings.UseDora.Default;

    /// <summary>
    /// Trains modules that share the embedding's weight as one, where <see cref="AdapterConfig.ModulesToSave"/> or <see cref="AdapterConfig.TargetModules"/> names one of them (<c>ensure_weight_tying</c>): one copy of the weight,
    /// or adapters on all of them that share their parameters. Otherwise only what is named is changed.
    /// </summary>
    public bool EnsureWeightTying { get; init; } = LoraSettings.EnsureWeightTying.Default;

    /// <summary>How A and B start (<c>init_lora_weights</c>).</summary>
    public LoraInitialization InitLoraWeights { get; init; } = LoraInitialization.Default;

    /// <summary>Ranks by regular expression over the end of the module's path; the first in order of enumeration that matches counts (<c>rank_pattern</c>).</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new OrderedDictionary<string, int>();

    /// <summary>Alphas by regular expression, as <see cref="RankPattern"/> (<c>alpha_pattern</c>).</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new OrderedDictionary<string, double>();

    internal override bool TiesWeights => EnsureWeightTying;

    internal override AdapterConfig WithWrittenNames() =>
        (LoraConfig)base.WithWrittenNames() with { RankPattern = MemberNames.Written(RankPattern), AlphaPattern = MemberNames.Written(AlphaPattern) };

    private protected override string AdapterOnlyBias => "lora_only";

    private protected override IReadOnlyDictionary<string, JsonNode?> UnsupportedFields => Unsupported;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Check(LoraSettings.Rank, Rank);
        Check(LoraSettings.Alpha, Alpha);
        Check(LoraSettings.Dropout, Dropout);
        CheckPatterns("rank_pattern", LoraSettings.Rank, RankPattern);
        CheckPatterns("alpha_pattern", LoraSettings.Alpha, AlphaPattern);
        if (LayersPattern is { Count: > 0 } && LayersToTransform is null) throw Invalid("layers_pattern", "it says where layers_to_transform counts, which is missing. Give both or none.");
    }

    private protected override void WriteFields(IDictionary<string, JsonNode?> fields)
    {
        base.WriteFields(fields);
        fields[LoraSettings.Rank.Field] = Rank;
        fields[LoraSettings.Alpha.Field] = AdapterConfigReader.ToNumberNode(Alpha);
        fields[LoraSettings.Dropout.Field] = AdapterConfigReader.ToFloatNode(Dropout);
        fields[LoraSettings.UseRslora.Field] = UseRslora;
        fields[LoraSettings.UseDora.Field] = UseDora;
        fields[LoraSettings.EnsureWeightTying.Field] = EnsureWeightTying;
        fields["init_lora_weights"] = InitLoraWeights.ToNode();
        fields["rank_pattern"] = new JsonObject(RankPattern.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value)));
        fields["alpha_pattern"] = new JsonObject(AlphaPattern.Select(pair => KeyValuePair.Create(pair.Key, AdapterConfigReader.ToNumberNode(pair.Value))));
    }
}
