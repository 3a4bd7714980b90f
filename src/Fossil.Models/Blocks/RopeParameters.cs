namespace Fossil.Models;

/// <summary>How rotary positions are stretched beyond the length that a model was first trained on (Hugging Face: <c>rope_parameters</c>, formerly <c>rope_scaling</c>).</summary>
public enum RopeType
{
    /// <summary>Positions as they are.</summary>
    Default,

    /// <summary>Every frequency divided by the factor.</summary>
    Linear,

    /// <summary>Llama 3.1: low frequencies divided by the factor, high ones kept, a smooth transition between.</summary>
    Llama3,

    /// <summary>Beyond the original length, a larger base for all frequencies, by the sequence's own length (dynamic NTK).</summary>
    Dynamic,

    /// <summary>YaRN: frequencies that turn seldom in the original length divided by the factor, those that turn often kept, a linear transition between; cos and sin scaled.</summary>
    Yarn,

    /// <summary>Phi-3: each frequency divided by a factor of its own, of one list up to the original length and of another beyond it; cos and sin scaled.</summary>
    LongRope,
}

/// <summary>Rotary position embedding of a decoder.</summary>
public sealed record RopeParameters
{
    /// <summary>Base of the geometric series of frequencies.</summary>
    public double Theta { get; init; } = 10_000;

    /// <summary>The share of a head's dimensions that is rotated, from the first on (Phi-3).</summary>
    public double PartialRotaryFactor { get; init; } = 1;

    /// <summary>How positions are stretched.</summary>
    public RopeType Type { get; init; } = RopeType.Default;

    /// <summary>How much longer the context became (all but default).</summary>
    public double Factor { get; init; } = 1;

    /// <summary>llama3: wavelengths above original length / this are divided by the factor.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>llama3: wavelengths below original length / this are kept.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>The context length before stretching (llama3, dynamic, yarn, longrope).</summary>
    public int OriginalMaxPositionEmbeddings { get; init; } = 8192;

    /// <summary>longrope: what each frequency is divided by in sequences up to the original length.</summary>
    public IReadOnlyList<double> ShortFactors { get; init; } = [];

    /// <summary>longrope: what each frequency is divided by in longer sequences.</summary>
    public IReadOnlyList<double> LongFactors { get; init; } = [];

    /// <summary>yarn: frequencies with more turns in the original length than this are kept.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>yarn: frequencies with fewer turns in the original length than this are divided by the factor.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>yarn: whether the transition begins and ends at whole frequencies.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>yarn, longrope: what cos and sin are multiplied by; where null, 0.1 ln factor + 1 (yarn), √(1 + ln factor / ln original length) (longrope).</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>Whether the angles of a position depend on how long its sequence is.</summary>
    internal bool DependsOnLength => Type is RopeType.Dynamic or RopeType.LongRope;

    /// <summary>What cos and sin are multiplied by.</summary>
    internal double Scaling => AttentionFactor ?? DefaultScaling;

    /// <summary>What cos and sin are multiplied by where <see cref="AttentionFactor"/> is not stated.</summary>
    internal double DefaultScaling => Type switch
    {
        RopeType.Yarn => YarnScaling(Factor, 1),
        RopeType.LongRope when Factor > 1 => Math.Sqrt(1 + (Math.Log(Factor) / Math.Log(OriginalMaxPositionEmbeddings))),
        _ => 1,
    };

    /// <summary>Sequences of lengths with the same key have the same angles.</summary>
    internal long LengthKey(long length) => Type switch
    {
        RopeType.Dynamic => Math.Max(length, OriginalMaxPositionEmbeddings),
        RopeType.LongRope => length > OriginalMaxPositionEmbeddings ? 1 : 0,
        _ => 0,
    };

    /// <summary>yarn: the scaling for a factor; 1 where nothing is stretched.</summary>
    internal static double YarnScaling(double factor, double scale) => factor <= 1 ? 1 : (0.1 * scale * Math.Log(factor)) + 1;
}
