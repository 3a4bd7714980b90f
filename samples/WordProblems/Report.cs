using System.Globalization;
using System.Text;
using Fossil.Serialization;
using Spectre.Console;

/// <summary>The table of all results, on the console and as Markdown.</summary>
internal static class Report
{
    private static readonly string[] Columns =
        ["method", "parameters", "init s", "loss", "score", "Hamlet", "tokens/s", "peak GB", "PEFT: init s", "PEFT: loss", "PEFT: score", "PEFT: Hamlet"];

    // What fits into 80 characters; the Markdown has PEFT's results too.
    private const int OnConsole = 8;

    public static void Write(IReadOnlyList<RunResult> results, Speed? speed, string markdownPath)
    {
        var measured = Methods.All
            .Select(method => (Method: method, Runs: results.Where(result => result.Method == method.Key).ToList()))
            .Where(row => row.Runs.Count > 0)
            .ToList();
        var seeds = results.Select(result => result.Seed).Distinct().Count();

        var table = new Table { Border = TableBorder.Horizontal };
        if (seeds > 1) table.Caption($"means of {seeds} seeds");
        foreach (var (index, title) in Columns.Take(OnConsole).Index()) table.AddColumn(new TableColumn(title) { Alignment = index == 0 ? Justify.Left : Justify.Right, NoWrap = true, Padding = new Padding(0, 0) });
        foreach (var (method, runs) in measured) table.AddRow(Row(method, runs, speed, withDeviations: false)[..OnConsole]);
        AnsiConsole.Write(table);

        var markdown = new StringBuilder();
        markdown.AppendLine($"| {string.Join(" | ", Columns)} |").AppendLine($"| --- |{string.Concat(Enumerable.Repeat(" ---: |", Columns.Length - 1))}");
        foreach (var (method, runs) in measured) markdown.AppendLine($"| {string.Join(" | ", Row(method, runs, speed, withDeviations: true))} |");
        AtomicFile.Write(markdownPath, stream => stream.Write(Encoding.UTF8.GetBytes(markdown.ToString())));
    }

    private static string[] Row(Method method, List<RunResult> runs, Speed? speed, bool withDeviations)
    {
        return
        [
            runs.Count > 1 && withDeviations ? $"{method.Title} ({runs.Count} seeds)" : method.Title,
            runs[0].TrainableParameters.ToString("N0", CultureInfo.InvariantCulture),
            Mean(run => run.Losses.Length == 0 ? null : run.InitSeconds, "F2"),
            Mean(run => run.LastLoss, "F3"),
            Mean(run => run.ScorePercent, "F1", " %"),
            Mean(run => run.HamletPerplexity, "F1"),
            Format(speed?.TokensPerSecond(method.Key), "F0"),
            Mean(run => run.Losses.Length == 0 ? null : run.PeakMemoryGigabytes, "F2"),
            Format(method.Peft?.InitSeconds, "F2"),
            Format(method.Peft?.LastLoss, "F3"),
            Format(method.Peft?.ScorePercent, "F1", " %"),
            Format(method.Peft?.HamletPerplexity, "F1"),
        ];

        // The mean over the seeds, and the standard deviation behind it.
        string Mean(Func<RunResult, double?> value, string format, string unit = "")
        {
            var values = runs.Select(value).OfType<double>().ToList();
            if (values.Count == 0) return "";
            var mean = values.Average();
            if (values.Count == 1 || !withDeviations) return Format(mean, format, unit);
            var deviation = Math.Sqrt(values.Sum(one => (one - mean) * (one - mean)) / (values.Count - 1));
            return $"{Format(mean, format)} ± {Format(deviation, format, unit)}";
        }
    }

    private static string Format(double? value, string format, string unit = "") => value is { } number ? number.ToString(format, CultureInfo.InvariantCulture) + unit : "";
}
