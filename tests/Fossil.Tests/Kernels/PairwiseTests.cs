using Fossil.TestData;

namespace Fossil.Tests.Kernels;

/// <summary>The sample of cases that the kernels' tests go through.</summary>
public sealed class PairwiseTests
{
    [Fact]
    public void Any_two_levels_of_two_factors_meet()
    {
        int[] levels = [9, 4, 2, 3];
        var rows = Pairwise.Cover(levels);
        var pairs = new HashSet<(int, int, int, int)>(
            from row in rows from factor in Enumerable.Range(0, 4) from other in Enumerable.Range(0, factor) select (factor, row[factor], other, row[other]));
        Assert.Equal((9 * 4) + (9 * 2) + (9 * 3) + (4 * 2) + (4 * 3) + (2 * 3), pairs.Count);
        Assert.InRange(rows.Count, 9 * 4, 2 * 9 * 4);
    }
}
