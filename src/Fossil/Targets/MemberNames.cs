using System.Text.RegularExpressions;

namespace Fossil.Targets;

/// <summary>
/// Names of members as they are written in the source. TorchSharp registers a module under the name of the field that holds it, and for a property without a body, or
/// a parameter of a primary constructor, that is a field which the compiler names: <c>&lt;Gate&gt;k__BackingField</c> for <c>Gate</c>.
/// </summary>
internal static partial class MemberNames
{
    /// <summary>A path, with each of its names as it is written in the source: <c>layers.0.&lt;Gate&gt;k__BackingField</c> is <c>layers.0.Gate</c>.</summary>
    public static string Written(string path) => CompilersName().Replace(path, "${name}");

    /// <summary>A selector whose names or expression may hold such names.</summary>
    public static ModuleSelector? Written(ModuleSelector? selector) => selector switch
    {
        { Pattern: { } pattern } => WrittenExpression(pattern) is var written && written == pattern ? selector : ModuleSelector.FromPattern(written),
        { Names: var names } when Written(names) is var written && !ReferenceEquals(written, names) => ModuleSelector.Create([.. written!]),
        _ => selector,
    };

    /// <summary>Names or expressions.</summary>
    public static IReadOnlyList<string>? Written(IReadOnlyList<string>? names) => names?.Any(HasCompilersName) == true ? [.. names.Select(WrittenExpression)] : names;

    /// <summary>Values by expression.</summary>
    public static IReadOnlyDictionary<string, T> Written<T>(IReadOnlyDictionary<string, T> patterns) => patterns.Keys.Any(HasCompilersName)
        ? new OrderedDictionary<string, T>(patterns.Select(pair => KeyValuePair.Create(WrittenExpression(pair.Key), pair.Value)))
        : patterns;

    // Inside an expression a name may stand anywhere, so only what nothing else looks like is replaced.
    private static string WrittenExpression(string expression) => HasCompilersName(expression) ? BackingField().Replace(expression, "${name}") : expression;

    private static bool HasCompilersName(string text) => text.Contains("k__BackingField", StringComparison.Ordinal);

    // C#: <Gate>k__BackingField, <gate>P. F#: Gate@.
    [GeneratedRegex(@"(?<=^|\.)(?:<(?<name>[^<>.]+)>(?:k__BackingField|P)|(?<name>[^<>.@]+)@)(?=$|\.)", RegexOptions.CultureInvariant)]
    private static partial Regex CompilersName();

    [GeneratedRegex(@"<(?<name>[^<>]*)>k__BackingField", RegexOptions.CultureInvariant)]
    private static partial Regex BackingField();
}
