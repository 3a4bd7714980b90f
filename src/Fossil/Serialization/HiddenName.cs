using System.Text.RegularExpressions;

namespace Fossil.Serialization;

/// <summary>The hidden names beside a final name: of its new content before a save is complete, and of its old content until then.</summary>
internal static partial class HiddenName
{
    private const string NewSuffix = ".tmp";
    private const string OldSuffix = ".old";

    /// <summary>A name for new content.</summary>
    public static string New(string finalName) => $".{finalName}.{Guid.NewGuid():N}{NewSuffix}";

    /// <summary>A name for old content that nothing takes the place of.</summary>
    public static string Old(string finalName) => $".{finalName}.{Guid.NewGuid():N}{OldSuffix}";

    /// <summary>The name for the old content whose place the new content of that name takes.</summary>
    public static string OldOf(string newName) => string.Concat(newName.AsSpan(0, newName.Length - NewSuffix.Length), OldSuffix);

    /// <summary>Whether it is a name for old content.</summary>
    public static bool IsOld(string hiddenName) => hiddenName.EndsWith(OldSuffix, StringComparison.Ordinal);

    /// <summary>The final name that a hidden name belongs to; null where it is no hidden name.</summary>
    public static string? FinalOf(string name) => Pattern().Match(name) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex(@"^\.(.+)\.[0-9a-f]{32}\.(?:tmp|old)\z", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
