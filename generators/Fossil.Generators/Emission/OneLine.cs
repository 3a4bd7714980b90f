using System.Globalization;
using System.Text;

namespace Fossil.Generators.Emission;

/// <summary>Text of the consumer's, as a part of one line of generated code.</summary>
internal static class OneLine
{
    /// <summary>
    /// <paramref name="text"/> with one space for each run of spaces, line ends of any kind (C# has five: a comment ends at U+0085, U+2028 and U+2029 as well), control
    /// characters and invisible marks, and without halves of characters.
    /// </summary>
    public static string Of(string text)
    {
        var line = new StringBuilder(text.Length);
        for (var index = 0; index < text.Length; index++)
        {
            var character = text[index];
            if (char.IsHighSurrogate(character) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1])) line.Append(character).Append(text[++index]);
            else if (!IsBlank(character)) line.Append(character);
            else if (line.Length > 0 && line[line.Length - 1] != ' ') line.Append(' ');
        }
        return line.ToString().TrimEnd(' ');
    }

    /// <summary>At most <paramref name="length"/> characters of <see cref="Of"/>, with dots for what is cut off.</summary>
    public static string Shortened(string text, int length)
    {
        var line = Of(text);
        if (line.Length <= length) return line;
        var end = length - 3;
        return line.Substring(0, char.IsHighSurrogate(line[end - 1]) ? end - 1 : end) + "...";
    }

    private static bool IsBlank(char character) =>
        char.IsWhiteSpace(character) || char.GetUnicodeCategory(character) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.OtherNotAssigned;
}
