using Spectre.Console;

namespace Fossil.Benchmarks;

/// <summary>Results in the terminal.</summary>
internal static class ResultTable
{
    // Where there is no terminal whose width would count.
    private const int Width = 120;

    public static void Write(IReadOnlyList<BenchmarkRow> rows)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = Width;
        foreach (var group in rows.GroupBy(row => row.Group))
        {
            var table = new Table { Border = TableBorder.Simple };
            table.AddColumn(new TableColumn($"[bold]{group.Key}[/], {group.First().Unit}") { NoWrap = true });
            foreach (var title in (string[])["min", "median", "max", "base", "libtorch", "floor"]) table.AddColumn(new TableColumn(title) { Alignment = Justify.Right, NoWrap = true, Padding = new(0, 1) });
            table.AddColumn(new TableColumn("ratio (goal)") { NoWrap = true });
            foreach (var row in group)
            {
                table.AddRow(
                    row.Name.EscapeMarkup(), DocumentTables.Number(row.Value.Min), $"[bold]{DocumentTables.Number(row.Value.Median)}[/]", DocumentTables.Number(row.Value.Max),
                    Median(row.Base), Median(row.Reference), Median(row.Floor), string.Join("\n", row.Comparisons.Select(Text)));
            }

            AnsiConsole.Write(table);
        }

        var goals = rows.SelectMany(row => row.Comparisons).Where(comparison => comparison.Goal is not null).ToList();
        AnsiConsole.MarkupLine($"{goals.Count(goal => goal.IsMet == true)} of {goals.Count} goals met");
    }

    private static string Median(Spread? spread) => spread is null ? "" : DocumentTables.Number(spread.Median);

    private static string Text(Comparison comparison)
    {
        var text = DocumentTables.Text(comparison).EscapeMarkup();
        return comparison.IsMet switch { true => $"[green]{text}[/]", false => $"[red]{text}[/]", null => text };
    }
}
