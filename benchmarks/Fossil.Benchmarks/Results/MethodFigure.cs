using ScottPlot;

namespace Fossil.Benchmarks;

/// <summary>Bars a method: time of a step, peak memory, time of attaching, as in the paper; this library beside PEFT's formula.</summary>
internal static class MethodFigure
{
    private static readonly (string Group, string Title)[] Parts = [("steps", "training step, ms"), ("memory", "peak memory over the model, MB"), ("attaching", "attaching, ms")];

    public static void Write(BenchmarkResults results, string path)
    {
        var figure = new Multiplot();
        figure.AddPlots(Parts.Length);
        figure.Layout = new ScottPlot.MultiplotLayouts.Columns();
        foreach (var ((group, title), plot) in Parts.Zip(figure.GetPlots()))
        {
            var rows = results.Rows.Where(row => row.Group == group).ToList();
            Add(plot, rows.Select(row => row.Value.Median), 0, "here");
            Add(plot, rows.Select(row => row.Reference?.Median ?? 0), 1, "libtorch's operations");
            plot.Axes.Bottom.SetTicks([.. rows.Select((_, i) => (double)(3 * i) + 0.5)], [.. rows.Select(row => row.Name)]);
            plot.Axes.Bottom.TickLabelStyle.Rotation = -45;
            plot.Axes.Bottom.TickLabelStyle.Alignment = Alignment.MiddleRight;
            plot.Axes.Bottom.MinimumSize = 170;
            plot.Axes.Margins(bottom: 0);
            plot.HideGrid();
            plot.Title(title);
            plot.HideLegend();
            // What is measured in seconds would leave nothing to see of the others.
            if (rows.Count > 0) plot.Axes.SetLimitsY(0, rows.Max(row => Math.Max(row.Value.Median, row.Reference?.Median ?? 0)) * 1.1);
        }

        figure.GetPlots()[0].ShowLegend(Alignment.UpperLeft);
        figure.SavePng(path, 1500, 560);
    }

    private static void Add(Plot plot, IEnumerable<double> values, int place, string label)
    {
        var bars = plot.Add.Bars(values.Select((value, i) => new Bar { Position = (3 * i) + place, Value = value, FillColor = new ScottPlot.Palettes.Category10().GetColor(place) }).ToArray());
        bars.LegendText = label;
    }
}
