using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Fossil.Benchmarks;

/// <summary>
/// The tables in documents: what stands between <c>&lt;!-- results GROUP --&gt;</c> and <c>&lt;!-- end --&gt;</c> is written from the results, one table a machine.
/// </summary>
internal static partial class DocumentTables
{
    // Where the pictures stand, not a group of rows.
    private const string Figures = "figures";

    /// <summary>The documents that have tables.</summary>
    public static readonly string[] Documents = ["performance.md", "smollm2.md"];

    /// <summary>The document with the tables that follow from the results.</summary>
    public static string Rewrite(string document, IReadOnlyList<BenchmarkResults> results) => Place().Replace(document, place =>
    {
        string[] tables = [.. results.Select(machine => Table(machine, place.Groups[1].Value)).Where(table => table.Length > 0)];
        return $"<!-- results {place.Groups[1].Value} -->\n\n{(tables.Length > 0 ? string.Join("\n", tables) : "Not measured yet.\n")}\n<!-- end -->";
    });

    /// <summary>A number with three digits that count.</summary>
    public static string Number(double value) => Math.Abs(value) switch
    {
        0 => "0",
        >= 100 => value.ToString("F0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("F1", CultureInfo.InvariantCulture),
        >= 1 => value.ToString("F2", CultureInfo.InvariantCulture),
        _ => value.ToString("G3", CultureInfo.InvariantCulture),
    };

    /// <summary>A ratio with its goal, e.g. <c>1.24 × floor (≤ 1.4)</c>.</summary>
    public static string Text(Comparison comparison)
    {
        var ratio = $"{Number(comparison.Ratio)} × {comparison.Over}";
        return comparison.Goal is { } goal ? $"{ratio} (≤ {goal.ToString(CultureInfo.InvariantCulture)}{(comparison.IsMet == true ? "" : ", missed")})" : ratio;
    }

    private static string Table(BenchmarkResults results, string group)
    {
        if (group == Figures) return $"{results.Processor}:\n\n![Time of a step, peak memory and time of attaching, by method](images/{results.FigureName})\n";
        var rows = results.Rows.Where(row => row.Group == group).ToList();
        if (rows.Count == 0) return "";
        var (hasBase, hasReference, hasFloor) = (rows.Exists(row => row.Base is not null), rows.Exists(row => row.Reference is not null), rows.Exists(row => row.Floor is not null));
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{results.Processor}, {results.Threads} threads, {Number(results.Bandwidth)} GB/s; commit {results.Commit}, {results.Date}, `{results.Command}`\n\n");
        string[] titles = [rows[0].Unit, "here: min, median, max", .. hasBase ? (string[])["base"] : [], .. hasReference ? (string[])["libtorch"] : [], .. hasFloor ? (string[])["floor"] : [], "ratio (goal)"];
        text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", titles)} |\n| --- |{string.Concat(titles[1..^1].Select(_ => " ---: |"))} --- |\n");
        foreach (var row in rows)
        {
            string[] cells =
            [
                row.Name,
                $"{Number(row.Value.Min)}, **{Number(row.Value.Median)}**, {Number(row.Value.Max)}",
                .. hasBase ? (string[])[Median(row.Base)] : [],
                .. hasReference ? (string[])[Median(row.Reference)] : [],
                .. hasFloor ? (string[])[Median(row.Floor)] : [],
                string.Join("; ", row.Comparisons.Select(Text)),
            ];
            text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", cells)} |\n");
        }

        return text.ToString();
    }

    private static string Median(Spread? spread) => spread is null ? "" : Number(spread.Median);

    [GeneratedRegex("<!-- results ([a-z0-9-]+) -->.*?<!-- end -->", RegexOptions.Singleline)]
    private static partial Regex Place();
}
