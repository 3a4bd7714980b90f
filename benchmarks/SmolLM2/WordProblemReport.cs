using System.Diagnostics;

/// <summary>All steps of the word-problem runs beside PEFT's: the largest relative deviation of a loss and of a norm.</summary>
internal static class WordProblemReport
{
    /// <returns>Whether every number is within its bar.</returns>
    public static bool Run(Base source, string only)
    {
        var runs = new WordProblemRuns(source.Folder);
        return runs.Names.Where(name => name.Contains(only, StringComparison.Ordinal)).Select(name => Compare(runs, name)).ToArray().All(isWithin => isWithin);
    }

    private static bool Compare(WordProblemRuns runs, string name)
    {
        var started = Stopwatch.GetTimestamp();
        var steps = runs.Take(name).ToList();
        // What is no number is the worst of all.
        var loss = steps.MaxBy(step => Rank(step.Loss));
        var norm = steps.MaxBy(step => Rank(step.Norm));
        var isWithin = loss.Loss <= WordProblemRuns.LossBar && norm.Norm <= WordProblemRuns.NormBar;
        Console.WriteLine($"{name}: {steps.Count} steps in {Stopwatch.GetElapsedTime(started).TotalSeconds:f0} s");
        Console.WriteLine($"  losses within {loss.Loss:0.0E-0} of PEFT's (step {loss.Step}; bar {WordProblemRuns.LossBar:0E-0}), norms within {norm.Norm:0.0E-0} (step {norm.Step}; bar {WordProblemRuns.NormBar:0E-0}){(isWithin ? "" : "  OUTSIDE")}");
        if (!isWithin) Console.WriteLine($"  each: {string.Join(" ", steps.Select(step => $"{step.Loss:0.0E-0}/{step.Norm:0.0E-0}"))}");
        return isWithin;
    }

    private static double Rank(double deviation) => double.IsNaN(deviation) ? double.PositiveInfinity : deviation;
}
