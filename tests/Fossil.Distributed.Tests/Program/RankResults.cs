namespace Fossil.Distributed.Tests;

/// <summary>What a rank found, in a file of its own: lines of names and values.</summary>
/// <param name="folder">Where the files of all ranks are.</param>
internal sealed class RankResults(string folder)
{
    /// <summary>The folder.</summary>
    public string Folder => folder;

    /// <summary>Adds a line.</summary>
    public void Add(string name, string value) => File.AppendAllText(FileOf(folder, ProcessGroup.Current?.Rank ?? 0), $"{name}\t{value.ReplaceLineEndings(" ")}\n");

    /// <summary>What a rank found; the last of each name.</summary>
    public static IReadOnlyDictionary<string, string> Of(string folder, int rank)
    {
        var found = new Dictionary<string, string>();
        if (!File.Exists(FileOf(folder, rank))) return found;
        foreach (var line in File.ReadLines(FileOf(folder, rank))) found[line[..line.IndexOf('\t')]] = line[(line.IndexOf('\t') + 1)..];
        return found;
    }

    private static string FileOf(string folder, int rank) => Path.Combine(folder, $"rank-{rank}.txt");
}
