using System.Globalization;
using System.Text;

namespace Fossil.Models.Tokenizers;

/// <summary>
/// Normalisation form C (Unicode Standard Annex 15). .NET's own leaves text as it is, without a word, in programs that run in invariant
/// globalization mode, as many containers do; then a tokenizer that asks for it would give other ids.
/// </summary>
internal static class CanonicalComposition
{
    private const char FirstAffected = '\u0300';
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28, SyllableCount = LeadCount * VowelCount * TailCount;

    private static readonly Dictionary<int, int[]> Decompositions = [];
    private static readonly Dictionary<(int First, int Second), int> Compositions = [];
    private static readonly Dictionary<int, int> Classes = [];

    static CanonicalComposition()
    {
        using var stream = typeof(CanonicalComposition).Assembly.GetManifestResourceStream("Fossil.Models.Tokenizers.CanonicalForms.txt")!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        while (reader.ReadLine() is { } line)
        {
            if (line.Length == 0 || line[0] == '#') continue;
            var fields = line.Split(' ');
            if (fields[0] == "class")
            {
                for (var point = Hex(fields[1]); point <= Hex(fields[2]); point++) Classes.Add(point, int.Parse(fields[3], CultureInfo.InvariantCulture));
                continue;
            }

            var isExcluded = fields[^1] == "-";
            int[] parts = [.. fields[1..(isExcluded ? ^1 : ^0)].Select(Hex)];
            Decompositions.Add(Hex(fields[0]), parts);
            if (!isExcluded && parts.Length == 2) Compositions.Add((parts[0], parts[1]), Hex(fields[0]));
        }
    }

    /// <summary>The text in form C.</summary>
    public static string Normalize(string text)
    {
        // Below the combining marks every text is in form C.
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', (char)(FirstAffected - 1)) < 0) return text;
        var points = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes()) Decompose(rune.Value, points);
        Order(points);
        var result = new StringBuilder(text.Length);
        foreach (var point in Compose(points)) result.Append(new Rune(point));
        return result.ToString();
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static int ClassOf(int point) => Classes.GetValueOrDefault(point);

    private static void Decompose(int point, List<int> into)
    {
        var syllable = point - HangulBase;
        if (syllable is >= 0 and < SyllableCount)
        {
            into.Add(LeadBase + (syllable / (VowelCount * TailCount)));
            into.Add(VowelBase + (syllable % (VowelCount * TailCount) / TailCount));
            if (syllable % TailCount != 0) into.Add(TailBase + (syllable % TailCount));
        }
        else if (Decompositions.TryGetValue(point, out var parts))
        {
            foreach (var part in parts) Decompose(part, into);
        }
        else
        {
            into.Add(point);
        }
    }

    /// <summary>Sorts each run of combining marks by class; equal ones keep their order.</summary>
    private static void Order(List<int> points)
    {
        for (var i = 1; i < points.Count; i++)
        {
            var mark = points[i];
            var markClass = ClassOf(mark);
            if (markClass == 0) continue;
            var at = i;
            for (; at > 0 && ClassOf(points[at - 1]) > markClass; at--) points[at] = points[at - 1];
            points[at] = mark;
        }
    }

    /// <summary>Joins each starter with the marks after it that nothing of their own class or higher separates from it.</summary>
    private static List<int> Compose(List<int> points)
    {
        var result = new List<int>(points.Count);
        var starter = -1;
        var lastClass = 0;
        foreach (var point in points)
        {
            var pointClass = ClassOf(point);
            var isAdjacent = starter == result.Count - 1;
            if (starter >= 0 && (isAdjacent || (lastClass < pointClass && lastClass != 0)) && Join(result[starter], point) is { } joined)
            {
                result[starter] = joined;
                continue;
            }

            if (pointClass == 0) starter = result.Count;
            lastClass = pointClass;
            result.Add(point);
        }

        return result;
    }

    private static int? Join(int first, int second)
    {
        if (first - LeadBase is >= 0 and < LeadCount && second - VowelBase is >= 0 and < VowelCount)
        {
            return HangulBase + ((((first - LeadBase) * VowelCount) + second - VowelBase) * TailCount);
        }

        if (first - HangulBase is >= 0 and < SyllableCount && (first - HangulBase) % TailCount == 0 && second - TailBase is > 0 and < TailCount) return first + second - TailBase;
        return Compositions.TryGetValue((first, second), out var composed) ? composed : null;
    }
}
