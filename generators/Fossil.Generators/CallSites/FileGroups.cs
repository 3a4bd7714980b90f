using System.Collections.Immutable;
using System.Globalization;
using Fossil.CodeModel;

namespace Fossil.Generators.CallSites;

/// <summary>
/// Which generated file has the interceptors of which source files. One each, until there are many: the driver compares the name of each generated
/// file with that of every other, at each keystroke anywhere.
/// </summary>
internal static class FileGroups
{
    private const int MostSingle = 128;
    private const int Groups = 64;

    /// <summary><paramref name="files"/> as they are, or in groups. The name alone says which group a file is in, so that no other file moves it.</summary>
    public static ImmutableArray<FileCallSites> Of(IReadOnlyList<FileCallSites> files) =>
        files.Count <= MostSingle ? [.. files] : [.. files.GroupBy(file => Group(file.HintName)).OrderBy(group => group.Key).Select(group => Together(group.Key, [.. group]))];

    private static FileCallSites Together(int group, IReadOnlyList<FileCallSites> files) => new(
        string.Format(CultureInfo.InvariantCulture, "Group{0}.Interceptors.g.cs", group),
        string.Join(", ", files.Select(file => file.SourceName)),
        Interceptor.Of(files.SelectMany(file => file.Interceptors.SelectMany(one => one.Sites.Select(site => (one.Shape, one.Group, site with { Text = $"{site.Text} ({file.SourceName})" }))))).ToEquatableArray());

    private static int Group(string name) => name.Aggregate(17, static (hash, character) => unchecked((hash * 31) + character)) & (Groups - 1);
}
