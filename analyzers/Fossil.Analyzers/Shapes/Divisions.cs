using System.Globalization;

namespace Fossil.Analyzers.Shapes;

/// <summary>Divisors and how messages write a division.</summary>
internal static class Divisions
{
    private const int MaxSuggestions = 4;
    private const long LargestSuggestion = 1 << 16;

    /// <summary><c>2050 = 32 * 64 + 2</c>.</summary>
    public static string Explain(long width, long size) =>
        string.Format(CultureInfo.InvariantCulture, "{0} = {1} * {2} + {3}", width, width / size, size, width % size);

    /// <summary>The greatest common divisor; that of nothing is 0.</summary>
    public static long CommonDivisor(IEnumerable<long> widths) => widths.Aggregate(0L, (left, right) =>
    {
        while (right != 0) (left, right) = (right, left % right);
        return left;
    });

    /// <summary>The divisors of <paramref name="width"/> next to <paramref name="wanted"/> below and above, and the powers of two among the divisors next to it; the nearest first; all less than <paramref name="below"/>.</summary>
    public static IReadOnlyList<long> Near(long width, long wanted, long below = long.MaxValue)
    {
        var divisors = new List<long>();
        for (var divisor = 1L; divisor * divisor <= width && divisor <= LargestSuggestion; divisor++)
        {
            if (width % divisor != 0) continue;
            divisors.Add(divisor);
            if (width / divisor <= LargestSuggestion) divisors.Add(width / divisor);
        }
        var useful = divisors.Distinct().Where(divisor => divisor != wanted && divisor < below).ToList();
        var powers = useful.Where(IsPowerOfTwo).ToList();
        return [.. Neighbours(useful, wanted).Concat(Neighbours(powers, wanted)).Distinct()
            .Where(divisor => divisor > 1)
            .OrderBy(divisor => Math.Abs(divisor - wanted)).ThenBy(divisor => divisor)
            .Take(MaxSuggestions)];
    }

    /// <summary>Whether <paramref name="number"/> is a power of two.</summary>
    public static bool IsPowerOfTwo(long number) => number > 0 && (number & (number - 1)) == 0;

    private static IEnumerable<long> Neighbours(List<long> divisors, long wanted)
    {
        if (divisors.Any(divisor => divisor < wanted)) yield return divisors.Where(divisor => divisor < wanted).Max();
        if (divisors.Any(divisor => divisor > wanted)) yield return divisors.Where(divisor => divisor > wanted).Min();
    }
}
