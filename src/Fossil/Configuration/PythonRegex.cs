using System.Text;
using System.Text.RegularExpressions;

namespace Fossil;

/// <summary>
/// Python's regular expressions, in which PEFT's configurations are written, as .NET's: the two differ in the spelling of
/// named groups and in what <c>\Z</c> means.
/// </summary>
internal static class PythonRegex
{
    // A hostile pattern can take exponential time; a module path is a few dozen characters.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    /// <summary>Refuses what is not a regular expression.</summary>
    /// <exception cref="ConfigurationException">The pattern is malformed.</exception>
    public static void Check(string field, string? path, string pattern) => Create(field, path, pattern);

    /// <summary>Python's <c>re.fullmatch(pattern, text)</c>.</summary>
    public static bool IsFullMatch(string field, string? path, string pattern, string text) =>
        Run(field, path, pattern, () => Create(field, path, $@"\A(?:{pattern})\Z", pattern).IsMatch(text));

    /// <summary>Python's <c>re.match(pattern, text)</c>, which is anchored at the start only.</summary>
    /// <param name="field">The field that holds the expression, for messages.</param>
    /// <param name="path">The file that it was read from, for messages.</param>
    /// <param name="pattern">The expression, with what PEFT puts around it.</param>
    /// <param name="text">The text.</param>
    /// <param name="given">The expression as the field has it, where that is a part of <paramref name="pattern"/>.</param>
    public static Match Match(string field, string? path, string pattern, string text, string? given = null) =>
        Run(field, path, given ?? pattern, () => Create(field, path, $@"\A(?:{pattern})", given ?? pattern).Match(text));

    private static T Run<T>(string field, string? path, string pattern, Func<T> match)
    {
        try
        {
            return match();
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new ConfigurationException(field, path, $"matching '{pattern}' takes too long. Write the expression without nested repetitions.", exception);
        }
    }

    private static Regex Create(string field, string? path, string pattern, string? given = null)
    {
        try
        {
            return new Regex(Translate(pattern), RegexOptions.CultureInvariant, Timeout);
        }
        catch (ArgumentException exception)
        {
            throw new ConfigurationException(field, path, $"'{given ?? pattern}' is not a regular expression: {exception.Message} Correct it, or give a list of names.", exception);
        }
    }

    private static string Translate(string pattern)
    {
        if (!pattern.Contains("(?P", StringComparison.Ordinal) && !pattern.Contains(@"\Z", StringComparison.Ordinal)) return pattern;
        var result = new StringBuilder(pattern.Length);
        for (var index = 0; index < pattern.Length; index++)
        {
            var rest = pattern.AsSpan(index);
            if (rest.StartsWith("(?P<"))
            {
                result.Append("(?<");
                index += 3;
            }
            else if (rest.StartsWith("(?P=") && rest.IndexOf(')') is > 0 and var end)
            {
                result.Append(@"\k<").Append(rest[4..end]).Append('>');
                index += end;
            }
            else if (rest[0] == '\\' && rest.Length > 1)
            {
                // An escaped character is no start of a group; Python's \Z is the very end, .NET's \z.
                result.Append('\\').Append(rest[1] == 'Z' ? 'z' : rest[1]);
                index++;
            }
            else
            {
                result.Append(rest[0]);
            }
        }

        return result.ToString();
    }
}
