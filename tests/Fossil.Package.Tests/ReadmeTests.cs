using System.Text.RegularExpressions;

namespace Fossil.Package.Tests;

public partial class ReadmeTests
{
    [Fact]
    public void CodeInTheReadmeIsTheSamplesCode()
    {
        var readme = File.ReadAllText(Path.Combine(LocalFeed.RepositoryRoot, "README.md")).ReplaceLineEndings("\n");
        var blocks = SampleBlock().Matches(readme);
        Assert.NotEmpty(blocks);
        foreach (Match block in blocks)
        {
            var sample = File.ReadAllText(Path.Combine(LocalFeed.RepositoryRoot, block.Groups["path"].Value)).ReplaceLineEndings("\n");
            Assert.Equal(sample, block.Groups["code"].Value);
        }
    }

    [Fact]
    public void CodeInTheGuidesIsCompiledCode()
    {
        var blocks = Directory.GetFiles(Path.Combine(LocalFeed.RepositoryRoot, "docs"), "*.md", SearchOption.AllDirectories)
            .SelectMany(guide => RegionBlock().Matches(File.ReadAllText(guide).ReplaceLineEndings("\n"))).ToList();
        Assert.NotEmpty(blocks);
        foreach (var block in blocks) Assert.Equal(Region(block.Groups["path"].Value, block.Groups["region"].Value), block.Groups["code"].Value);
    }

    [Fact]
    public void LinksOfTheDocumentsLeadSomewhere()
    {
        var documents = Directory.GetFiles(LocalFeed.RepositoryRoot, "*.md").Concat(Directory.GetFiles(Path.Combine(LocalFeed.RepositoryRoot, "docs"), "*.md", SearchOption.AllDirectories));
        var broken =
            from document in documents
            from Match link in RelativeLink().Matches(File.ReadAllText(document))
            let target = Path.Combine(Path.GetDirectoryName(document)!, link.Groups["path"].Value)
            where !File.Exists(target) && !Directory.Exists(target)
            select $"{Path.GetRelativePath(LocalFeed.RepositoryRoot, document)}: {link.Groups["path"].Value}";
        Assert.Empty(broken);
    }

    /// <summary>The lines of a region of a source file, as far to the left as the region's own line.</summary>
    private static string Region(string path, string name)
    {
        var lines = File.ReadAllLines(Path.Combine(LocalFeed.RepositoryRoot, path));
        var start = Array.FindIndex(lines, line => line.Trim() == $"#region {name}");
        Assert.True(start >= 0, $"{path} has no region '{name}'.");
        var indent = lines[start].IndexOf('#');
        return string.Concat(lines.Skip(start + 1).TakeWhile(line => line.Trim() != "#endregion").Select(line => (line.Length > indent ? line[indent..] : "") + "\n"));
    }

    [GeneratedRegex(@"<!-- (?<path>[^\s#]+)#(?<region>\S+) -->\n```csharp\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex RegionBlock();

    [GeneratedRegex(@"<!-- (?<path>samples/\S+) -->\n```csharp\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex SampleBlock();

    [GeneratedRegex(@"\]\((?!https?:|#)(?<path>[^)#\s]+)")]
    private static partial Regex RelativeLink();
}
