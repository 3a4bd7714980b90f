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
}

/// <summary>Rotary position embedding of a decoder.</summary>
public sealed record RopeParameters
{
    /// <summary>Base of the geometric series of frequencies.</summary>
    public double Theta { get; init; } = 10_000;

    /// <summary>How positions are stretched.</summary>
    public RopeType Type { get; init; } = RopeType.Default;

    /// <summary>How much longer the context became (linear, llama3).</summary>
    public double Factor { get; init; } = 1;

    /// <summary>llama3: wavelengths above original length / this are divided by the factor.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>llama3: wavelengths below original length / this are kept.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>llama3: the context length before stretching.</summary>
    public int OriginalMaxPositionEmbeddings { get; init; } = 8192;
}
