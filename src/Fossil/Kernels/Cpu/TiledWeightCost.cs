namespace Fossil.Kernels.Cpu;

/// <summary>
/// The time of both passes with W + tile(D), over that of libtorch's product with W and one with D. On one thread it is <see cref="OfRow"/>, and for the panels, which are formed for each block of rows anew,
/// <see cref="OfPanels"/> by the number of rows. r and the widths change it by less than one measurement differs from the next, from 576 x 192 to 2304 x 2304 and r = 16 to 192; but the widths
/// decide into how many parts threads can share the work (<c>benchmarks/Fossil.Benchmarks -- tiled</c>; docs/performance.md).
/// </summary>
internal static class TiledWeightCost
{
    /// <summary>Rows that a panel is formed for.</summary>
    public const int BlockRows = 128;

    private const double OfRow = 0.45, OfPanels = 5;

    // Where two products take a fourth longer at the least, other processors' libraries are allowed for.
    private const double Largest = 0.75;

    /// <summary>Whether it pays.</summary>
    /// <param name="rows">Rows of x.</param>
    /// <param name="inFeatures">Width of x.</param>
    /// <param name="outFeatures">Width of y.</param>
    /// <param name="threads">How many threads there are.</param>
    public static bool Pays(long rows, long inFeatures, long outFeatures, int threads) =>
        rows > 0 && OfRow + (OfPanels / Math.Min(rows, BlockRows)) <= Largest * Math.Min(Busy(rows, inFeatures, threads), Busy(rows, outFeatures, threads));

    /// <summary>What part of the threads' time has work, where a result of so many columns is made.</summary>
    private static double Busy(long rows, long columns, int threads)
    {
        var parts = Math.Max(1, columns / PanelProduct.Width) * ((rows + BlockRows - 1) / BlockRows);
        return (double)parts / (threads * ((parts + threads - 1) / threads));
    }
}
