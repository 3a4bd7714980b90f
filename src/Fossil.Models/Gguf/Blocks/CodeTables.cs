using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>What the sixteen codes of four bits stand for, in the types whose steps are not even.</summary>
internal static class CodeTables
{
    /// <summary>IQ4_NL and IQ4_XS.</summary>
    public static ReadOnlySpan<sbyte> NonLinear => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// <summary>MXFP4 and NVFP4: twice the values of a float of four bits, so that they are whole.</summary>
    public static ReadOnlySpan<sbyte> TwiceFloat4 => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    /// <summary>The values of sixteen codes.</summary>
    public static Vector128<sbyte> Look(ReadOnlySpan<sbyte> table, Vector128<byte> codes) => Vector128.Shuffle(Vector128.Create(table).AsByte(), codes).AsSByte();
}
