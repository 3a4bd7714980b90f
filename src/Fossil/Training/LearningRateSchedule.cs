namespace Fossil.Training;

/// <summary>How the learning rate runs over the steps (transformers: <c>SchedulerType</c>).</summary>
public enum LearningRateSchedulerType
{
    /// <summary>Up during the warm-up, then straight down to zero.</summary>
    Linear,

    /// <summary>Up during the warm-up, then half a cosine down to zero.</summary>
    Cosine,

    /// <summary>As <see cref="Cosine"/>, starting again at the full rate for each cycle.</summary>
    CosineWithRestarts,

    /// <summary>Up during the warm-up, then down as a power of what is left, to <see cref="LearningRateSchedule.PolynomialEnd"/>.</summary>
    Polynomial,

    /// <summary>The full rate at every step; no warm-up.</summary>
    Constant,

    /// <summary>Up during the warm-up, then the full rate.</summary>
    ConstantWithWarmup,

    /// <summary>Up during the warm-up, then down as one over the square root of the step.</summary>
    InverseSqrt,
}

/// <summary>
/// The learning rate of each step, computed as transformers' <c>get_scheduler</c> does (<c>optimization.py</c>): a factor on the base rate that depends
/// on the number of optimizer steps already taken. So with a warm-up the first step has rate zero.
/// </summary>
/// <param name="Type">The shape.</param>
/// <param name="BaseRate">The full learning rate.</param>
/// <param name="WarmupSteps">Steps of the warm-up.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
public sealed record LearningRateSchedule(LearningRateSchedulerType Type, double BaseRate, int WarmupSteps, int TotalSteps)
{
    /// <summary>Where <see cref="LearningRateSchedulerType.Polynomial"/> ends (transformers: <c>lr_end</c>).</summary>
    public const double PolynomialEnd = 1e-7;

    /// <summary>Cycles of the cosine (transformers: <c>num_cycles</c>); null is half a cycle, or one with restarts.</summary>
    public double? Cycles { get; init; }

    /// <summary>The exponent of the polynomial (transformers: <c>power</c>).</summary>
    public double Power { get; init; } = 1;

    /// <summary>The learning rate of the step that follows <paramref name="stepsTaken"/> steps.</summary>
    public double Rate(int stepsTaken) => BaseRate * Factor(stepsTaken);

    private double Factor(int step)
    {
        if (Type == LearningRateSchedulerType.Constant) return 1;
        if (step < WarmupSteps) return (double)step / Math.Max(1, WarmupSteps);
        var progress = (double)(step - WarmupSteps) / Math.Max(1, TotalSteps - WarmupSteps);
        return Type switch
        {
            LearningRateSchedulerType.Linear => Math.Max(0, (double)(TotalSteps - step) / Math.Max(1, TotalSteps - WarmupSteps)),
            LearningRateSchedulerType.Cosine => Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * (Cycles ?? 0.5) * 2 * progress))),
            LearningRateSchedulerType.CosineWithRestarts => progress >= 1 ? 0 : Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * ((Cycles ?? 1) * progress % 1)))),
            LearningRateSchedulerType.Polynomial when step > TotalSteps => PolynomialEnd / BaseRate,
            LearningRateSchedulerType.Polynomial => ((BaseRate - PolynomialEnd) * Math.Pow(1 - progress, Power) + PolynomialEnd) / BaseRate,
            LearningRateSchedulerType.ConstantWithWarmup => 1,
            LearningRateSchedulerType.InverseSqrt => InverseSqrt(step),
            _ => throw new ArgumentOutOfRangeException(nameof(Type), Type, "Unknown learning-rate schedule."),
        };
    }

    /// <summary>Without a warm-up transformers takes 10,000 steps as the time scale.</summary>
    private double InverseSqrt(int step)
    {
        var timescale = WarmupSteps > 0 ? WarmupSteps : 10_000;
        return 1 / Math.Sqrt((double)(step + timescale - WarmupSteps) / timescale);
    }
}
