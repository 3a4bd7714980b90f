using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Fossil.Distributed;

/// <summary>Sums over the ranks, in their order: the same bits whoever makes them, and whichever library has brought the rows.</summary>
internal static unsafe class RankSum
{
    /// <summary>The sum of rows that lie one behind the other.</summary>
    /// <param name="rows">A row for each rank.</param>
    /// <param name="length">Elements of a row.</param>
    /// <param name="ranks">The number of rows.</param>
    /// <param name="sum">Where it goes; it may be none of the rows.</param>
    public static void Sum<T>(T* rows, int length, int ranks, T* sum)
        where T : unmanaged, INumber<T>
    {
        var i = 0;
        for (; i <= length - Vector<T>.Count; i += Vector<T>.Count)
        {
            var total = Unsafe.ReadUnaligned<Vector<T>>(rows + i);
            for (var rank = 1; rank < ranks; rank++) total += Unsafe.ReadUnaligned<Vector<T>>(rows + ((long)rank * length) + i);
            Unsafe.WriteUnaligned(sum + i, total);
        }

        for (; i < length; i++)
        {
            var total = rows[i];
            for (var rank = 1; rank < ranks; rank++) total += rows[((long)rank * length) + i];
            sum[i] = total;
        }
    }

    /// <summary>The sum of rows in bfloat16, made in float32, with what was lost before, rounded again.</summary>
    /// <param name="rows">A row for each rank.</param>
    /// <param name="ranks">The number of rows.</param>
    /// <param name="lost">What earlier roundings of the sum have lost; what this one loses comes there.</param>
    /// <param name="sum">Where it goes.</param>
    public static void Sum(ReadOnlySpan<ushort> rows, int ranks, Span<float> lost, Span<ushort> sum)
    {
        for (var i = 0; i < sum.Length; i++)
        {
            var total = Widen(rows[i]);
            for (var rank = 1; rank < ranks; rank++) total += Widen(rows[(rank * sum.Length) + i]);
            sum[i] = Narrow(total, ref lost[i]);
        }
    }

    /// <summary>Rounds to bfloat16, with what was lost before.</summary>
    public static void Narrow(ReadOnlySpan<float> values, Span<float> lost, Span<ushort> narrow)
    {
        for (var i = 0; i < values.Length; i++) narrow[i] = Narrow(values[i], ref lost[i]);
    }

    /// <summary>The float32 values of bfloat16 ones.</summary>
    public static void Widen(ReadOnlySpan<ushort> narrow, Span<float> values)
    {
        var from = MemoryMarshal.Cast<ushort, Vector<ushort>>(narrow);
        var to = MemoryMarshal.Cast<float, Vector<uint>>(values);
        for (var i = 0; i < from.Length; i++)
        {
            Vector.Widen(from[i], out var low, out var high);
            (to[2 * i], to[(2 * i) + 1]) = (low << 16, high << 16);
        }

        for (var i = from.Length * Vector<ushort>.Count; i < narrow.Length; i++) values[i] = Widen(narrow[i]);
    }

    /// <summary>Adds what was lost of values; nothing is left to make up for. A negative zero, which stands for no gradient, stays one.</summary>
    public static void GiveBack(Span<float> lost, Span<float> values)
    {
        for (var i = 0; i < lost.Length; i++)
        {
            if (lost[i] != 0) values[i] += lost[i];
        }

        lost.Clear();
    }

    private static float Widen(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);

    /// <summary>Rounds to the nearest, ties to even. Nothing is added to a value where nothing was lost, so that a negative zero, which stands for no gradient, stays one.</summary>
    private static ushort Narrow(float value, ref float lost)
    {
        if (lost != 0) value += lost;
        var bits = BitConverter.SingleToUInt32Bits(value);
        if ((bits & 0x7F80_0000) == 0x7F80_0000)
        {
            // Infinite, or no number: the step is not taken, and nothing is made up for.
            lost = 0;
            return (ushort)((bits >> 16) | ((bits & 0x007F_FFFF) != 0 ? 0x40u : 0u));
        }

        var narrow = (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
        lost = value - Widen(narrow);
        if (!float.IsFinite(lost)) lost = 0;
        return narrow;
    }
}
