using Fossil.Models.Gguf;

namespace Fossil.Models.Tests.Quantised;

/// <summary>Rows in the order in which a file has them.</summary>
public sealed class HeadOrderTests
{
    [Theory, InlineData(0, 3, 17), InlineData(8, 0, 24), InlineData(8, 3, 4), InlineData(8, 5, 19), InlineData(8, 8, 8)]
    public void Each_row_of_a_range_comes_once_and_where_it_lies(int headRows, int first, int end)
    {
        var order = new HeadOrder(headRows);
        var found = new List<(long InFile, long Row)>();
        for (var rows = order.AsInFile(first, end); rows.Next();) found.Add((rows.InFile, rows.Row));

        Assert.Equal(Enumerable.Range(first, end - first).Select(row => (order.InFile(row), (long)row)).Order(), found);
    }
}
