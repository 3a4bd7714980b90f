using System.Globalization;
using System.Text;
using Fossil.Serialization;
using Spectre.Console;

/// <summary>The table of all results, on the console and as Markdown.</summary>
internal static class Report
{
    private static readonly string[] Columns =
        ["method", "parameters", "init s", "last losses", "score", "Hamlet", "tokens/s", "s a step", "peak GB", "PEFT: loss", "PEFT: score", "PEFT: Hamlet"];

    // What fits into 80 characters; the Markdown has all.
    private static readonly int[] OnConsole = [0, 3, 4, 5, 6, 8];

    public static void Write(IReadOnlyList<RunResult> results, string markdownPath)
    {
        var rows = Methods.All
            .Select(method => (method, Runs: results.Where(result => result.Method == method.Key).ToList()))
            .Where(row => row.Runs.Count > 0)
            .Select(row => Row(row.method, row.Runs))
            .ToList();

        var table = new Table();
        foreach (var column in OnConsole) table.AddColumn(new TableColumn(Columns[column]) { Alignment = column == 0 ? Justify.Left : Justify.Right });
        foreach (var row in rows) table.AddRow([.. OnConsole.Select(column => row[column])]);
        AnsiConsole.Write(table);

        var markdown = new StringBuilder();
        markdown.AppendLine($"| {string.Join(" | ", Columns)} |").AppendLine($"| --- |{string.Concat(Enumerable.Repeat(" ---: |", Columns.Length - 1))}");
        foreach (var row in rows) markdown.AppendLine($"| {string.Join(" | ", row)} |");
        AtomicFile.Write(markdownPath, stream => stream.Write(Encoding.UTF8.GetBytes(markdown.ToString())));
    }

    private static string[] Row(Method method, List<RunResult> runs) =>
    [
        runs.Count == 1 ? method.Title : $"{method.Title} ({runs.Count} seeds)",
        runs[0].TrainableParameters.ToString("N0", CultureInfo.InvariantCulture),
        Mean(runs, run => run.Losses.Length == 0 ? null : run.InitSeconds, "F2"),
        Mean(runs, run => run.LastLoss, "F3"),
        Mean(runs, run => run.ScorePercent, "F1", " %"),
        Mean(runs, run => run.HamletPerplexity, "F1"),
        Mean(runs, run => run.Losses.Length == 0 ? null : run.TokensPerSecond, "F0"),
        Mean(runs, run => run.Losses.Length == 0 ? null : run.StepSeconds, "F2"),
        Mean(runs, run => run.Losses.Length == 0 ? null : run.PeakMemoryGigabytes, "F2"),
        Format(method.Peft?.LastLoss, "F3"),
        Format(method.Peft?.ScorePercent, "F1", " %"),
        Format(method.Peft?.HamletPerplexity, "F1"),
    ];

    /// <summary>The mean, and with several seeds the standard deviation behind it.</summary>
    private static string Mean(List<RunResult> runs, Func<RunResult, double?> value, string format, string unit = "")
    {
        var values = runs.Select(value).OfType<double>().ToList();
        if (values.Count < 2) return Format(values.Count == 0 ? null : values[0], format, unit);
        var mean = values.Average();
        var deviation = Math.Sqrt(values.Sum(one => (one - mean) * (one - mean)) / (values.Count - 1));
        return $"{Format(mean, format)} ± {Format(deviation, format, unit)}";
    }

    private static string Format(double? value, string format, string unit = "") => value is { } number ? number.ToString(format, CultureInfo.InvariantCulture) + unit : "";
}
