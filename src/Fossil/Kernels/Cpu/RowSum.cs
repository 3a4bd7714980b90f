using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Fossil.Kernels.Cpu;

/// <summary>Elements of a row that are computed where they are summed, sixteen at a time.</summary>
internal interface IRowTerms
{
    /// <summary>The sixteen elements from <paramref name="index"/> on.</summary>
    Vector512<float> At(nuint index);
}

/// <summary>
/// Sums rows in the order in which libtorch's <c>sum</c> adds a contiguous last dimension: eights in turn to four partial sums, each in blocks of sixteen; then lane
/// by lane. What is rounded depends on the order, and long fine-tuning runs show it.
/// </summary>
internal static class RowSum
{
    private const nuint Block = 16, Step = 2 * Lanes.Count;

    /// <summary>The sum of the first <paramref name="size"/> elements, a multiple of sixteen.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Of<TTerms>(TTerms terms, nuint size) where TTerms : struct, IRowTerms, allows ref struct
    {
        // A vector holds two of the four partial sums.
        Vector512<float> low = default, high = default, lowBlocks = default, highBlocks = default;
        nuint index = 0;
        for (nuint count = 1; index + Step <= size; count++, index += Step)
        {
            low += terms.At(index);
            high += terms.At(index + Lanes.Count);
            if (count % Block != 0) continue;
            (lowBlocks, highBlocks) = (lowBlocks + low, highBlocks + high);
            low = high = default;
        }

        (low, high) = (low + lowBlocks, high + highBlocks);
        var sums = low.GetLower();
        if (index < size)
        {
            var last = terms.At(index);
            sums = sums + last.GetLower() + last.GetUpper();
        }

        sums = sums + low.GetUpper() + high.GetLower() + high.GetUpper();
        var sum = 0f;
        for (var lane = 0; lane < Vector256<float>.Count; lane++) sum += sums[lane];
        return sum;
    }
}
