using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>The arithmetic of grids.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class CudaGrid
{
    private const int MostAcross = int.MaxValue, MostDown = 65535;

    /// <summary>Blocks of <paramref name="ofBlock"/> that hold <paramref name="count"/>.</summary>
    public static long Blocks(long count, int ofBlock) => (count + ofBlock - 1) / ofBlock;

    /// <summary>Whether a grid is within the limits of every device, and not empty.</summary>
    public static bool Fits((long X, long Y) grid) => grid is { X: > 0 and <= MostAcross, Y: > 0 and <= MostDown };
}
