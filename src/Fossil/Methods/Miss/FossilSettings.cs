namespace Fossil.Methods.Miss;

/// <summary>The settings of FOSSIL: those that the attribute can give, and whether shards start at zero.</summary>
internal static class FossilSettings
{
    public static readonly Setting<bool> InitWeights = new(nameof(InitWeights), "init_weights", true)
    {
        ReadBy = [FossilVariant.Balance],
        Refusal = "random starting values are for the Balance variant only, not for {0}. Leave InitWeights true.",
    };

    // Which targets a configuration adapts is not its own to say.
    public static readonly SettingTable Table =
        new("Fossil.FossilConfig", [.. AdaptSettings.Table.Settings.Where(setting => setting != AdaptSettings.OnRequest), InitWeights]) { Variant = AdaptSettings.Variant };
}
