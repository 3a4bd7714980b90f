namespace Fossil.Methods.Miss;

/// <summary>The settings of FOSSIL, which the attribute gives too.</summary>
internal static class FossilSettings
{
    public const int DefaultShardSize = 64;
    public const int DefaultMiniSize = 1;

    private static readonly Enum[] WithShardSum = [FossilVariant.Balance, FossilVariant.Mini];

    public static readonly Setting<int> ShardSize = new(nameof(ShardSize), "r", DefaultShardSize, Bounds.Positive, $"Shard size {{0}} is not positive: use 1 or more ({DefaultShardSize} is the default)");

    public static readonly Setting<FossilVariant> Variant = new(nameof(Variant), "init_weights", FossilVariant.Balance, Bounds.Named, "{0} is no FossilVariant: use Balance, Mini or Bat");

    public static readonly Setting<int> MiniSize = new(nameof(MiniSize), "mini_r", DefaultMiniSize, Bounds.Positive, "Mini size {0} is not positive: use 1 or more, and a divisor of the output width")
    {
        ReadBy = [FossilVariant.Mini],
        DefaultHasMeaning = true,
    };

    public static readonly Setting<double> Dropout = new(nameof(Dropout), "miss_dropout", 0, Bounds.Probability, Bounds.DropoutMessage) { ReadBy = WithShardSum };

    public static readonly Setting<bool> AllowPadding = new(nameof(AllowPadding), "", false) { ReadBy = WithShardSum };

    /// <summary>Of the configuration alone.</summary>
    public static readonly Setting<bool> InitWeights = new(nameof(InitWeights), "init_weights", true)
    {
        ReadBy = [FossilVariant.Balance],
        Refusal = "random starting values are for the Balance variant only, not for {0}. Leave InitWeights true.",
    };

    /// <summary>Of the attribute alone: whether it adapts its targets only where a configuration names them.</summary>
    public static readonly Setting<bool> OnRequest = new(nameof(OnRequest), "", false) { OmittedAtDefault = true };

    /// <summary>What <c>[FossilAdapt]</c> gives, in the order in which generated code hands it on.</summary>
    public static readonly IReadOnlyList<Setting> OfAttribute = [ShardSize, Variant, MiniSize, Dropout, AllowPadding, OnRequest];

    public static readonly SettingTable Table = new("Fossil.FossilConfig", ShardSize, Variant, MiniSize, Dropout, AllowPadding, InitWeights) { Variant = Variant };
}
