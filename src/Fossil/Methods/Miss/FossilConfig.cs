using System.Text.Json;
using System.Text.Json.Nodes;

namespace Fossil;

/// <summary>The configuration of FOSSIL, which PEFT calls MiSS and formerly Bone (PEFT: <c>tuners/miss/config.py</c>).</summary>
public sealed record FossilConfig : AdapterConfig
{
    internal const string PeftTypeName = "MISS";

    /// <summary>A configuration with PEFT's defaults.</summary>
    public FossilConfig()
    {
    }

    internal FossilConfig(AdapterConfigReader reader)
        : base(reader)
    {
        ShardSize = reader.Integer("r", ShardSize);
        Dropout = reader.Number("miss_dropout", Dropout);
        MiniSize = reader.Integer("mini_r", MiniSize);
        (Variant, InitWeights) = ReadInitWeights(reader);

        // PEFT pads wherever r does not divide the width, so a file may stand for an adapter that was trained so.
        AllowPadding = true;
    }

    /// <inheritdoc/>
    public override string PeftType => PeftTypeName;

    /// <summary>Shard size r (<c>r</c>).</summary>
    public int ShardSize { get; init; } = FossilAdaptAttribute.DefaultShardSize;

    /// <summary>The form of shard sharing (<c>init_weights</c>: true, "mini", "bat").</summary>
    public FossilVariant Variant { get; init; } = FossilVariant.Balance;

    /// <summary>Width m of a <see cref="FossilVariant.Mini"/> shard (<c>mini_r</c>).</summary>
    public int MiniSize { get; init; } = 1;

    /// <summary>Dropout probability on x before the shard sum; not in <see cref="FossilVariant.Bat"/> (<c>miss_dropout</c>).</summary>
    public double Dropout { get; init; }

    /// <summary>
    /// Whether the shards start at zero, so that the adapter changes nothing before training. False (<c>init_weights</c>: false) starts them at random, for tests;
    /// only in <see cref="FossilVariant.Balance"/>.
    /// </summary>
    public bool InitWeights { get; init; } = true;

    /// <summary>
    /// Opts in to input widths that r does not divide: x is taken as zero-padded. PEFT always pads and has no field for it, so it is not saved, and is set in
    /// a configuration that was read from a file.
    /// </summary>
    public bool AllowPadding { get; init; }

    private protected override string AdapterOnlyBias => "MiSS_only";

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        CheckPositive("r", ShardSize, "the shard size");
        CheckPositive("mini_r", MiniSize, "the width of a Mini shard");
        CheckDropout("miss_dropout", Dropout);
        if (!Enum.IsDefined(Variant)) throw Invalid("init_weights", $"{Variant} is not one of {string.Join(", ", Enum.GetNames<FossilVariant>())}.");
        if (!InitWeights && Variant != FossilVariant.Balance) throw Invalid("init_weights", $"random starting values are for the Balance variant only, not for {Variant}. Leave InitWeights true.");
    }

    private protected override void WriteFields(IDictionary<string, JsonNode?> fields)
    {
        base.WriteFields(fields);
        fields["r"] = ShardSize;
        fields["miss_dropout"] = AdapterConfigReader.ToFloatNode(Dropout);
        fields["mini_r"] = MiniSize;
        fields["init_weights"] = Variant switch
        {
            FossilVariant.Mini => "mini",
            FossilVariant.Bat => "bat",
            _ => InitWeights,
        };
    }

    private static (FossilVariant Variant, bool InitWeights) ReadInitWeights(AdapterConfigReader reader)
    {
        const string Field = "init_weights";
        var node = reader.Get(Field);
        return node?.GetValueKind() switch
        {
            null or JsonValueKind.True => (FossilVariant.Balance, true),
            JsonValueKind.False => (FossilVariant.Balance, false),
            JsonValueKind.String when node.GetValue<string>() == "mini" => (FossilVariant.Mini, true),
            JsonValueKind.String when node.GetValue<string>() == "bat" => (FossilVariant.Bat, true),
            _ => throw reader.Wrong(Field, node, "one of true, false, 'mini', 'bat'"),
        };
    }
}
