using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Fossil.Tests.Documentation;

/// <summary>The page on the architecture names files that are there, and draws the dependencies that the projects have.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly string Root = typeof(ArchitectureTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(entry => entry.Key == "RepositoryRoot").Value!;
    private static readonly string Page = File.ReadAllText(Path.Combine(Root, "docs", "architecture.md"));

    [Fact]
    public void Every_file_that_it_names_is_there()
    {
        var places = Link().Matches(Page).Select(link => link.Groups[1].Value).ToList();
        Assert.True(places.Count > 30);
        Assert.All(places, place => Assert.True(Path.Exists(Path.Combine(Root, "docs", place)), place));
    }

    [Fact]
    public void Its_picture_has_the_dependencies_of_the_projects()
    {
        var drawn = Arrow().Matches(Page).Select(arrow => (arrow.Groups[1].Value, arrow.Groups[2].Value)).Order();
        var projects = new[] { "src", "generators", "analyzers" }
            .SelectMany(folder => Directory.EnumerateDirectories(Path.Combine(Root, folder)))
            .SelectMany(folder => Directory.EnumerateFiles(folder, "*.csproj"));
        var real =
            from project in projects
            from reference in XDocument.Load(project).Descendants("ProjectReference")
            let to = reference.Attribute("Include")!.Value
            // A part that is only packed along is no dependency.
            where reference.Attribute("ReferenceOutputAssembly")?.Value != "false"
            select (Path.GetFileNameWithoutExtension(project), Path.GetFileNameWithoutExtension(to));
        Assert.Equal(real.Order(), drawn);
    }

    [GeneratedRegex(@"\]\(([^)#]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^\s*(\S+) --> (\S+)\s*$", RegexOptions.Multiline)]
    private static partial Regex Arrow();
}
