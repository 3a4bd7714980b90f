namespace Fossil.Methods.Lora;

/// <summary>The settings of LoRA and its kin.</summary>
internal static class LoraSettings
{
    public static readonly Setting<int> Rank = new(nameof(Rank), "r", 8, Bounds.Positive, "Rank {0} is not positive: use 1 or more (8 is the default)");

    public static readonly Setting<double> Alpha = new(nameof(Alpha), "lora_alpha", 8, Bounds.Finite, "Alpha {0} is not a finite number: the product is scaled by alpha / r (8 is the default)");

    public static readonly Setting<double> Dropout = new(nameof(Dropout), "lora_dropout", 0, Bounds.Probability, Bounds.DropoutMessage);

    public static readonly Setting<bool> UseRslora = new(nameof(UseRslora), "use_rslora", false);

    public static readonly Setting<bool> UseDora = new(nameof(UseDora), "use_dora", false);

    public static readonly Setting<bool> EnsureWeightTying = new(nameof(EnsureWeightTying), "ensure_weight_tying", false);

    public static readonly SettingTable Table = new("Fossil.LoraConfig", Rank, Alpha, Dropout, UseRslora, UseDora, EnsureWeightTying);
}
