namespace Fossil.Methods.IA3;

/// <summary>The settings of (IA)³.</summary>
internal static class IA3Settings
{
    public static readonly Setting<bool> InitIA3Weights = new(nameof(InitIA3Weights), "init_ia3_weights", true);

    public static readonly SettingTable Table = new("Fossil.IA3Config", InitIA3Weights);
}
