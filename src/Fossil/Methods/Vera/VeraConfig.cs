using System.Text.Json.Nodes;
using Fossil.Methods.Vera;

namespace Fossil;

/// <summary>The configuration of VeRA (arXiv 2310.11454; PEFT: <c>tuners/vera/config.py</c>): vectors are trained between two frozen random matrices that all layers share.</summary>
public sealed record VeraConfig : AdapterConfig
{
    internal const string PeftTypeName = "VERA";

    private static readonly string[] Absent = ["exclude_modules"];

    private static readonly Dictionary<string, JsonNode?> Unsupported = new(StringComparer.Ordinal) { ["fan_in_fan_out"] = false };

    /// <summary>A configuration with PEFT's defaults.</summary>
    public VeraConfig()
    {
    }

    internal VeraConfig(AdapterConfigReader reader)
        : base(reader)
    {
        Rank = reader.Integer(VeraSettings.Rank);
        ProjectionPrngKey = reader.LongInteger(VeraSettings.ProjectionPrngKey);
        SaveProjection = reader.Boolean(VeraSettings.SaveProjection);
        Dropout = reader.Number(VeraSettings.Dropout);
        DInitial = reader.Number(VeraSettings.DInitial);
        InitWeights = reader.Boolean(VeraSettings.InitWeights);
    }

    /// <inheritdoc/>
    public override string PeftType => PeftTypeName;

    /// <summary>Rank r of the shared matrices (<c>r</c>).</summary>
    public int Rank { get; init; } = VeraSettings.Rank.Default;

    /// <summary>What the random generator of the shared matrices starts from; the same for all VeRA adapters of a model (<c>projection_prng_key</c>).</summary>
    public long ProjectionPrngKey { get; init; } = VeraSettings.ProjectionPrngKey.Default;

    /// <summary>
    /// Whether the shared matrices stand in the adapter's file, so that it means the same whatever draws random numbers (<c>save_projection</c>). Otherwise they are drawn again from the key when it is
    /// loaded. The same for all VeRA adapters of a model.
    /// </summary>
    public bool SaveProjection { get; init; } = VeraSettings.SaveProjection.Default;

    /// <summary>Dropout probability on x before A (<c>vera_dropout</c>).</summary>
    public double Dropout { get; init; } = VeraSettings.Dropout.Default;

    /// <summary>What each element of lambda_d starts from (<c>d_initial</c>).</summary>
    public double DInitial { get; init; } = VeraSettings.DInitial.Default;

    /// <summary>Whether lambda_b starts at zero, so that the adapter changes nothing before training. False starts it at one and lambda_d at random, for tests (<c>init_weights</c>).</summary>
    public bool InitWeights { get; init; } = VeraSettings.InitWeights.Default;

    private protected override string AdapterOnlyBias => "vera_only";

    private protected override IReadOnlyList<string> AbsentFields => Absent;

    private protected override IReadOnlyDictionary<string, JsonNode?> UnsupportedFields => Unsupported;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Check(VeraSettings.Rank, Rank);
        Check(VeraSettings.Dropout, Dropout);
        Check(VeraSettings.DInitial, DInitial);
        if (LayersPattern is { Count: > 0 } && LayersToTransform is null) throw Invalid("layers_pattern", "it says where layers_to_transform counts, which is missing. Give both or none.");
    }

    private protected override void WriteFields(IDictionary<string, JsonNode?> fields)
    {
        base.WriteFields(fields);
        fields[VeraSettings.Rank.Field] = Rank;
        fields[VeraSettings.ProjectionPrngKey.Field] = ProjectionPrngKey;
        fields[VeraSettings.SaveProjection.Field] = SaveProjection;
        fields[VeraSettings.Dropout.Field] = AdapterConfigReader.ToFloatNode(Dropout);
        fields[VeraSettings.DInitial.Field] = AdapterConfigReader.ToFloatNode(DInitial);
        fields[VeraSettings.InitWeights.Field] = InitWeights;
    }
}
