using ScottPlot;

/// <summary>The loss over the steps, as a picture.</summary>
internal static class LossCurve
{
    private const int Width = 960, Height = 540;

    /// <summary>Each step's loss, their running mean, and the base model's held-out loss to compare with.</summary>
    public static void Save(IReadOnlyList<double> losses, double baseLoss, string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using var plot = new Plot();
        double[] steps = [.. Enumerable.Range(1, losses.Count).Select(step => (double)step)];

        var each = plot.Add.ScatterLine(steps, [.. losses], Colors.SteelBlue.WithAlpha(0.35));
        each.LegendText = "each step";
        var mean = plot.Add.ScatterLine(steps, RunningMean(losses), Colors.SteelBlue);
        (mean.LineWidth, mean.LegendText) = (2.5f, "running mean");
        var start = plot.Add.HorizontalLine(baseLoss, 1.5f, Colors.Gray, LinePattern.Dashed);
        start.LegendText = "base model, held out";

        plot.Title("Adapting to Paradise Lost");
        plot.XLabel("step");
        plot.YLabel("loss (nats a token)");
        plot.ShowLegend(Alignment.UpperRight);
        plot.SavePng(path, Width, Height);
    }

    private static double[] RunningMean(IReadOnlyList<double> losses)
    {
        var window = Math.Max(1, losses.Count / 20);
        return [.. Enumerable.Range(0, losses.Count).Select(i => losses.Skip(Math.Max(0, i - window + 1)).Take(Math.Min(i + 1, window)).Average())];
    }
}
