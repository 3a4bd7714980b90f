namespace Fossil.Cuda.Tests;

/// <summary>The tables of docs/cuda.md that a test writes.</summary>
internal static class DocumentTable
{
    /// <summary>Replaces the text between a table's two marks.</summary>
    public static void Write(string name, string text)
    {
        var (begin, end) = ($"<!-- {name} -->", $"<!-- /{name} -->");
        var path = Path.Combine(Tools.Repository, "docs", "cuda.md");
        var page = File.ReadAllText(path);
        File.WriteAllText(path, $"{page[..(page.IndexOf(begin, StringComparison.Ordinal) + begin.Length)]}\n{text}{page[page.IndexOf(end, StringComparison.Ordinal)..]}");
    }
}
