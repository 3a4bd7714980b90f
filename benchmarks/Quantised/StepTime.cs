using Fossil.Models;
using static TorchSharp.torch;

/// <summary>Seconds of a training step.</summary>
/// <param name="File">The file.</param>
/// <param name="Tokens">Tokens of each of the two sequences.</param>
/// <param name="Threads">libtorch's threads.</param>
/// <param name="Quantised">Over the file's blocks, the median.</param>
/// <param name="BFloat16">Over the same weights in bfloat16, the median.</param>
/// <param name="Ratio">The median of the steps' ratios.</param>
internal sealed record StepTime(string File, int Tokens, int Threads, double Quantised, double BFloat16, double Ratio)
{
    private const int WarmUp = 2;

    /// <summary>Both in turns, so that they meet the machine in the same mood.</summary>
    public static StepTime Run(string path, int length, int repetitions)
    {
        using var kept = Load(path, keepQuantized: true);
        using var expanded = Load(path, keepQuantized: false);
        var steps = new List<(double Quantised, double BFloat16)>();
        for (var step = 0; step < Math.Min(WarmUp, repetitions) + repetitions; step++) steps.Add((kept.Step(length), expanded.Step(length)));
        steps.RemoveRange(0, Math.Min(WarmUp, repetitions));
        return new(Path.GetFileName(path), length, get_num_threads(), Median(steps.Select(step => step.Quantised)), Median(steps.Select(step => step.BFloat16)), Median(steps.Select(step => step.Quantised / step.BFloat16)));
    }

    public override string ToString() => $"{File}, FOSSIL r=64, {TrainedModel.Rows}x{Tokens} tokens, {Threads} threads: {Quantised:f3} s a step over the blocks, {BFloat16:f3} s in bfloat16, ratio {Ratio:f3}";

    private static TrainedModel Load(string path, bool keepQuantized) => new(AutoModelForCausalLM.FromGguf(path, bfloat16, keepQuantized: keepQuantized));

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}
