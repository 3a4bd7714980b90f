namespace Fossil.TestData;

/// <summary>A sample of all combinations of levels in which any two levels of two factors meet at least once.</summary>
internal static class Pairwise
{
    private const int CandidatesPerRow = 20;

    /// <summary>The combinations: for each, the index of a level of each factor. The same ones at each call.</summary>
    /// <param name="levels">How many levels each factor has; at least two factors.</param>
    public static IReadOnlyList<int[]> Cover(params int[] levels)
    {
        var random = new Random(1);
        var open = new HashSet<(int Factor, int Level, int Other, int OtherLevel)>();
        for (var factor = 0; factor < levels.Length; factor++)
        {
            for (var other = factor + 1; other < levels.Length; other++)
            {
                for (var level = 0; level < levels[factor]; level++)
                {
                    for (var otherLevel = 0; otherLevel < levels[other]; otherLevel++) open.Add((factor, level, other, otherLevel));
                }
            }
        }

        var rows = new List<int[]>();
        while (open.Count > 0)
        {
            // Each candidate starts with a pair that is still open, so that every row closes one.
            var row = Enumerable.Range(0, CandidatesPerRow).Select(_ => Candidate(open.First())).MaxBy(candidate => Pairs(candidate).Count(open.Contains))!;
            open.ExceptWith(Pairs(row));
            rows.Add(row);
        }
        return rows;

        int[] Candidate((int Factor, int Level, int Other, int OtherLevel) pair)
        {
            var row = Array.ConvertAll(levels, random.Next);
            (row[pair.Factor], row[pair.Other]) = (pair.Level, pair.OtherLevel);
            foreach (var factor in Enumerable.Range(0, levels.Length).Where(factor => factor != pair.Factor && factor != pair.Other))
            {
                row[factor] = Enumerable.Range(0, levels[factor]).MaxBy(level =>
                {
                    row[factor] = level;
                    return Pairs(row).Count(open.Contains);
                });
            }
            return row;
        }

        static IEnumerable<(int, int, int, int)> Pairs(int[] row) =>
            from factor in Enumerable.Range(0, row.Length)
            from other in Enumerable.Range(factor + 1, row.Length - factor - 1)
            select (factor, row[factor], other, row[other]);
    }
}
