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

    [GeneratedRegex(@"<!-- (?<path>samples/\S+) -->\n```csharp\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex SampleBlock();

    [GeneratedRegex(@"\]\((?!https?:|#)(?<path>[^)#\s]+)")]
    private static partial Regex RelativeLink();
}
