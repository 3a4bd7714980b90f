using Fossil.Methods;

namespace Fossil;

/// <summary>The settings that <c>[FossilAdapt]</c> gives.</summary>
internal static class AdaptSettings
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

    public static readonly Setting<bool> OnRequest = new(nameof(OnRequest), "", false) { OmittedAtDefault = true };

    /// <summary>All, in the order in which generated code hands them on.</summary>
    public static readonly SettingTable Table = new("Fossil.FossilAdaptAttribute", ShardSize, Variant, MiniSize, Dropout, AllowPadding, OnRequest) { Variant = Variant };
}
