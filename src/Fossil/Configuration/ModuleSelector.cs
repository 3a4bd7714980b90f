using System.Collections;
using System.Runtime.CompilerServices;

namespace Fossil;

/// <summary>
/// Which modules of a model are meant (PEFT: <c>target_modules</c>, <c>exclude_modules</c>): a list of names, each of which names the modules
/// whose path is it or ends in a dot and it; or a regular expression that must match the whole path; or "all-linear".
/// </summary>
/// <remarks>Written as <c>["q_proj", "v_proj"]</c>, as <c>@".*\.(q|v)_proj"</c> or as <c>"all-linear"</c>.</remarks>
[CollectionBuilder(typeof(ModuleSelector), nameof(Create))]
public sealed class ModuleSelector : IEnumerable<string>, IEquatable<ModuleSelector>
{
    private const string AllLinearName = "all-linear";

    private ModuleSelector(string? pattern, IReadOnlyList<string> names)
    {
        Pattern = pattern;
        Names = names;
    }

    /// <summary>Every linear layer but the output layer.</summary>
    public static ModuleSelector AllLinear { get; } = new(AllLinearName, []);

    /// <summary>The regular expression; null where it is a list, "all-linear" where it is that.</summary>
    public string? Pattern { get; }

    /// <summary>The names; empty where it is a regular expression.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Whether it is "all-linear" (in any case, as in PEFT).</summary>
    public bool IsAllLinear => string.Equals(Pattern, AllLinearName, StringComparison.OrdinalIgnoreCase);

    /// <summary>A list of names.</summary>
    public static ModuleSelector Create(ReadOnlySpan<string> names) => new(null, names.ToArray());

    /// <summary>A regular expression, or "all-linear".</summary>
    public static ModuleSelector FromPattern(string pattern) => new(pattern, []);

    /// <summary>A regular expression, or "all-linear".</summary>
    public static implicit operator ModuleSelector(string pattern) => FromPattern(pattern);

    /// <summary>A list of names.</summary>
    public static implicit operator ModuleSelector(string[] names) => Create(names);

    /// <inheritdoc/>
    public bool Equals(ModuleSelector? other) => other is not null && Pattern == other.Pattern && Names.SequenceEqual(other.Names, StringComparer.Ordinal);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ModuleSelector);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Pattern, Names.Count, Names.Count == 0 ? null : Names[0]);

    /// <inheritdoc/>
    public override string ToString() => Pattern ?? $"[{string.Join(", ", Names)}]";

    /// <inheritdoc/>
    public IEnumerator<string> GetEnumerator() => Names.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
