namespace Fossil.Methods.Vera;

/// <summary>The settings of VeRA.</summary>
internal static class VeraSettings
{
    public static readonly Setting<int> Rank = new(nameof(Rank), "r", 256, Bounds.Positive, "Rank {0} is not positive: use 1 or more (256 is the default)");

    public static readonly Setting<long> ProjectionPrngKey = new(nameof(ProjectionPrngKey), "projection_prng_key", 0);

    public static readonly Setting<bool> SaveProjection = new(nameof(SaveProjection), "save_projection", true);

    public static readonly Setting<double> Dropout = new(nameof(Dropout), "vera_dropout", 0, Bounds.Probability, Bounds.DropoutMessage);

    public static readonly Setting<double> DInitial = new(nameof(DInitial), "d_initial", 0.1, Bounds.Finite, "Initial value {0} of lambda_d is not a finite number: use a small one (0.1 is the default)");

    public static readonly Setting<bool> InitWeights = new(nameof(InitWeights), "init_weights", true);

    public static readonly SettingTable Table = new("Fossil.VeraConfig", Rank, ProjectionPrngKey, SaveProjection, Dropout, DInitial, InitWeights);
}
