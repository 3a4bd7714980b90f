using System.Globalization;
using System.Text;
using Fossil.Models.Tokenizers;
using Fossil.Training;

namespace Fossil.Models;

/// <summary>A first look at data, before a model is trained on them.</summary>
public static class DataSummary
{
    private const int Columns = 80;
    private const int LabelColumns = 11;
    private const int MostFiles = 4;
    private const int MostLines = 24;

    /// <summary>
    /// Writes what was found, in lines of at most 80 columns: files, forms and roles of their rows, tokens of the examples, what was cut and what is left out, fields that are ignored, and the first
    /// example as the model sees it, with what is learned of it between <c>⟦</c> and <c>⟧</c>.
    /// </summary>
    /// <param name="data">The data.</param>
    /// <param name="tokenizer">The tokenizer that made them.</param>
    /// <param name="writer">Where to; the console where null.</param>
    public static void PrintSummary(this TokenData data, PretrainedTokenizer tokenizer, TextWriter? writer = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(tokenizer);
        writer ??= Console.Out;
        var report = data.Report;
        if (data.Counts is { } counts)
        {
            var files = counts.Files.Select(file => $"{Shorten(Path.GetFileName(file.Key))} ({Rows(file.Value)})").ToList();
            if (files.Count > MostFiles) files = [.. files[..MostFiles], $"and {files.Count - MostFiles} more with {Rows(counts.Files.Values.Skip(MostFiles).Sum())}"];
            Line("files", string.Join(", ", files));
            Line("forms", List(counts.Forms, "; "));
            Line("roles", List(counts.Roles));
            Line("tokens", $"shortest example {Number(counts.Tokens.Shortest)}, median {Number(counts.Tokens.Median)}, longest {Number(counts.Tokens.Longest)}");
            Line("examples", $"{Number(report.Examples)}; lose their end: {Number(report.Cut)}; left out, with nothing to learn: {Number(report.Dropped)}");
        }
        else
        {
            Line("text", Shorten(data.Description));
        }

        Line("sequences", $"{Number(data.Count)} with {Number(report.Tokens)} tokens, {Number(report.LossTokens)} of them learned ({Percent(report.LossTokens, report.Tokens)}), {Number(report.DroppedTokens)} dropped; at most {Percent(report.PaddingTokens, report.Tokens + report.PaddingTokens)} padding");
        Line("ignored", report.IgnoredFields);
        writer.WriteLine("first example, \u27e6learned\u27e7:");
        var lines = Render(data, tokenizer).TrimEnd('\n').Split('\n').SelectMany(line => Wrap(line, Columns - 2)).ToList();
        if (lines.Count > MostLines) lines = [.. lines[..(MostLines / 2)], $"… {lines.Count - MostLines} lines …", .. lines[^(MostLines / 2)..]];
        foreach (var line in lines) writer.WriteLine(("  " + line).TrimEnd());

        void Line(string label, string text)
        {
            if (text.Length == 0) return;
            foreach (var line in Wrap(text, Columns - LabelColumns))
            {
                writer.WriteLine(label.PadRight(LabelColumns) + line);
                label = string.Empty;
            }
        }
    }

    /// <summary>The text of the first example.</summary>
    private static string Render(TokenData data, PretrainedTokenizer tokenizer)
    {
        using var batch = data.GetBatch([0]);
        var ids = batch.InputIds.data<long>().Select(id => (int)id).ToArray();
        // Of a packed sequence the example that begins it.
        if (batch.ExampleStarts is { } starts) ids = ids[..(int)starts.data<long>().TakeWhile(start => start == 0).LongCount()];
        var isLearned = new bool[ids.Length];
        foreach (var position in batch.LossPositions.data<long>()) if (position + 1 < ids.Length) isLearned[position + 1] = true;

        var text = new StringBuilder();
        for (int start = 0, end; start < ids.Length; start = end)
        {
            for (end = start + 1; end < ids.Length && isLearned[end] == isLearned[start]; end++);
            var part = Visible(tokenizer.Decode(ids[start..end]));
            text.Append(isLearned[start] ? $"\u27e6{part}\u27e7" : part);
        }

        return text.ToString();
    }

    /// <summary>The text without what a terminal would take for a command.</summary>
    private static string Visible(string text)
    {
        var visible = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            if (character == '\t') visible.Append("    ");
            else if (character == '\n' || !char.IsControl(character)) visible.Append(character);
            else visible.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}");
        }

        return visible.ToString();
    }

    /// <summary>Lines of a width, cut at spaces where there are any.</summary>
    private static IEnumerable<string> Wrap(string text, int width)
    {
        while (text.Length > width)
        {
            var cut = text.LastIndexOf(' ', width);
            if (cut <= 0) cut = char.IsLowSurrogate(text[width]) ? width - 1 : width;
            yield return text[..cut];
            text = text[cut..].TrimStart(' ');
        }

        yield return text;
    }

    private static string List(IReadOnlyDictionary<string, long> counts, string separator = ", ") => string.Join(separator, counts.Select(count => $"{count.Key} ({Number(count.Value)})"));

    private static string Rows(long count) => count == 1 ? "1 row" : $"{Number(count)} rows";

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Percent(long part, long whole) => (part / (double)Math.Max(1, whole)).ToString("P1", CultureInfo.InvariantCulture);

    private static string Shorten(string path) => path.Length <= Columns / 2 ? path : "…" + path[^((Columns / 2) - 1)..];
}
