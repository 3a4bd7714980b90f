using System.Text.Json;
using System.Text.Json.Nodes;
using Fossil.CompilerServices;
using Fossil.Methods.Miss;

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
        ShardSize = reader.Integer(AdaptSettings.ShardSize);
        Dropout = reader.Number(AdaptSettings.Dropout);
        MiniSize = reader.Integer(AdaptSettings.MiniSize);
        (Variant, InitWeights) = ReadInitWeights(reader);

        // PEFT pads wherever r does not divide the width, so a file may stand for an adapter that was trained so.
        AllowPadding = true;
    }

    /// <inheritdoc/>
    public override string PeftType => PeftTypeName;

    /// <summary>Shard size r (<c>r</c>).</summary>
    public int ShardSize { get; init; } = AdaptSettings.ShardSize.Default;

    /// <summary>The form of shard sharing (<c>init_weights</c>: true, "mini", "bat").</summary>
    public FossilVariant Variant { get; init; } = AdaptSettings.Variant.Default;

    /// <summary>Width m of a <see cref="FossilVariant.Mini"/> shard (<c>mini_r</c>).</summary>
    public int MiniSize { get; init; } = AdaptSettings.MiniSize.Default;

    /// <summary>Dropout probability on x before the shard sum; not in <see cref="FossilVariant.Bat"/> (<c>miss_dropout</c>).</summary>
    public double Dropout { get; init; } = AdaptSettings.Dropout.Default;

    /// <summary>
    /// Whether the shards start at zero, so that the adapter changes nothing before training. False (<c>init_weights</c>: false) starts them at random, for tests;
    /// only in <see cref="FossilVariant.Balance"/>.
    /// </summary>
    public bool InitWeights { get; init; } = FossilSettings.InitWeights.Default;

    /// <summary>
    /// Opts in to input widths that r does not divide: x is taken as zero-padded. PEFT always pads and has no field for it, so it is not saved, and is set in
    /// a configuration that was read from a file.
    /// </summary>
    public bool AllowPadding { get; init; } = AdaptSettings.AllowPadding.Default;

    private protected override string AdapterOnlyBias => "MiSS_only";

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Check(AdaptSettings.ShardSize, ShardSize);
        Check(AdaptSettings.MiniSize, MiniSize);
        Check(AdaptSettings.Dropout, Dropout);
        Check(AdaptSettings.Variant, Variant);
        Check(FossilSettings.InitWeights, InitWeights, Variant);
    }

    /// <summary>The configuration with the settings of an attribute.</summary>
    internal FossilConfig With(AdapterDefaults defaults) => this with
    {
        ShardSize = defaults.ShardSize,
        Variant = defaults.Variant,
        MiniSize = defaults.MiniSize,
        Dropout = defaults.Dropout,
        AllowPadding = defaults.AllowPadding,
    };

    private protected override void WriteFields(IDictionary<string, JsonNode?> fields)
    {
        base.WriteFields(fields);
        fields[AdaptSettings.ShardSize.Field] = ShardSize;
        fields[AdaptSettings.Dropout.Field] = AdapterConfigReader.ToFloatNode(Dropout);
        fields[AdaptSettings.MiniSize.Field] = MiniSize;
        fields[AdaptSettings.Variant.Field] = Variant switch
        {
            FossilVariant.Mini => "mini",
            FossilVariant.Bat => "bat",
            _ => InitWeights,
        };
    }

    private static (FossilVariant Variant, bool InitWeights) ReadInitWeights(AdapterConfigReader reader)
    {
        var field = AdaptSettings.Variant.Field;
        var node = reader.Get(field);
        return node?.GetValueKind() switch
        {
            null or JsonValueKind.True => (FossilVariant.Balance, true),
            JsonValueKind.False => (FossilVariant.Balance, false),
            JsonValueKind.String when node.GetValue<string>() == "mini" => (FossilVariant.Mini, true),
            JsonValueKind.String when node.GetValue<string>() == "bat" => (FossilVariant.Bat, true),
            _ => throw reader.Wrong(field, node, "one of true, false, 'mini', 'bat'"),
        };
    }
}
