using ScottPlot;

/// <summary>The loss of each method over the steps, smoothed, and what it learnt against what it forgot.</summary>
internal static class Figure
{
    private const int Width = 1400, Height = 560, Smoothing = 20;

    public static void Write(IReadOnlyList<RunResult> results, string path)
    {
        var multiplot = new Multiplot();
        multiplot.AddPlots(2);
        multiplot.Layout = new ScottPlot.MultiplotLayouts.Columns();
        var (curves, exchange) = (multiplot.GetPlot(0), multiplot.GetPlot(1));
        var palette = new ScottPlot.Palettes.Category10();
        foreach (var (index, method) in Methods.All.Index())
        {
            foreach (var result in results.Where(result => result.Method == method.Key))
            {
                var isFirst = result.Seed == results.First(other => other.Method == method.Key).Seed;
                if (result.Losses.Length >= Smoothing) AddCurve(curves, result.Losses, palette.GetColor(index), isFirst ? method.Title : "");
                AddPoint(exchange, result, palette.GetColor(index), isFirst ? method.Title : "");
            }
        }

        curves.Title($"Loss on the answers (mean of {Smoothing} steps)");
        curves.XLabel("step");
        curves.YLabel("nats a token");
        curves.Legend.Alignment = Alignment.UpperRight;
        curves.ShowLegend();
        exchange.Title("Learnt and forgotten");
        exchange.XLabel("perplexity on Hamlet");
        exchange.YLabel("problems solved, %");
        exchange.Legend.Alignment = Alignment.LowerRight;
        exchange.ShowLegend();
        multiplot.SavePng(path, Width, Height);
    }

    private static void AddCurve(Plot plot, double[] losses, Color color, string title)
    {
        var steps = Enumerable.Range(Smoothing, losses.Length - Smoothing + 1).ToArray();
        var curve = plot.Add.ScatterLine(steps.Select(step => (double)step).ToArray(), steps.Select(step => losses[(step - Smoothing)..step].Average()).ToArray());
        (curve.Color, curve.LineWidth, curve.LegendText) = (color, 2, title);
    }

    private static void AddPoint(Plot plot, RunResult result, Color color, string title)
    {
        var point = plot.Add.Marker(result.HamletPerplexity, result.ScorePercent, size: 12, color: color);
        point.LegendText = title;
    }
}
