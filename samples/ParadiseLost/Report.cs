using Spectre.Console;

/// <summary>Before and after, side by side.</summary>
internal static class Report
{
    public static void Write(Measurement before, Measurement after, JobOptions options, string unit)
    {
        var table = new Table().RoundedBorder().Title($"Held-out perplexity a {unit}");
        table.AddColumn("text");
        foreach (var title in new[] { "before", "after", "change" }) table.AddColumn(new TableColumn(title).RightAligned());
        AddRow($"{Path.GetFileNameWithoutExtension(options.Data)} (learnt)", before.Target, after.Target);
        AddRow("shakespeare (forgotten)", before.Source, after.Source);
        AnsiConsole.Write(table);
        WriteSample("Base model", before.Sample);
        WriteSample("Adapted model", after.Sample);

        void AddRow(string text, double lossBefore, double lossAfter)
        {
            var change = Math.Exp(lossAfter - lossBefore) - 1;
            table.AddRow(Markup.Escape(text), $"{Math.Exp(lossBefore):f2}", $"{Math.Exp(lossAfter):f2}", $"[{(change < 0 ? "green" : "yellow")}]{change:+0.0%;-0.0%}[/]");
        }
    }

    private static void WriteSample(string title, string text) =>
        AnsiConsole.Write(new Panel(Markup.Escape(text.ReplaceLineEndings("\n").TrimEnd())).Header(title).RoundedBorder().Expand());
}
