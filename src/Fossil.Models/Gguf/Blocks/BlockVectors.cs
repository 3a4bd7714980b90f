using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>Sixteen quants at a time to floats.</summary>
internal static unsafe class BlockVectors
{
    /// <summary>The low four bits of sixteen bytes.</summary>
    public static Vector128<byte> Low(byte* quants) => Vector128.Load(quants) & Vector128.Create((byte)0xF);

    /// <summary>The high four bits of sixteen bytes.</summary>
    public static Vector128<byte> High(byte* quants) => Vector128.Load(quants) >> 4;

    /// <summary>Two bits of sixteen bytes.</summary>
    /// <param name="quants">The bytes.</param>
    /// <param name="shift">The lower one's number.</param>
    public static Vector128<byte> Two(byte* quants, int shift) => (Vector128.Load(quants) >> shift) & Vector128.Create((byte)3);

    /// <summary>One bit of sixteen bytes, at another place.</summary>
    /// <param name="bits">The bytes.</param>
    /// <param name="bit">The bit's number.</param>
    /// <param name="value">What the bit stands for: a power of two.</param>
    public static Vector128<byte> Bit(byte* bits, int bit, byte value) => ~Vector128.Equals(Vector128.Load(bits) & Vector128.Create((byte)(1 << bit)), Vector128<byte>.Zero) & Vector128.Create(value);

    /// <summary>Sixteen bits in a row, spread over as many bytes.</summary>
    /// <param name="bits">The bits, the lowest first.</param>
    /// <param name="value">What a bit stands for.</param>
    public static Vector128<byte> Spread(int bits, byte value)
    {
        var halves = Vector128.Create(Vector64.Create((byte)bits), Vector64.Create((byte)(bits >> 8)));
        var each = Vector128.Create(0x8040201008040201UL).AsByte();
        return Vector128.Equals(halves & each, each) & Vector128.Create(value);
    }

    /// <summary>quant · scale + offset, each rounded on its own.</summary>
    public static void Store(Vector128<byte> quants, float scale, float offset, float* values) => Store(quants.AsSByte(), scale, offset, values);

    /// <summary>quant · scale.</summary>
    public static void Store(Vector128<sbyte> quants, float scale, float* values)
    {
        var (first, second, third, fourth) = Floats(quants);
        Vector128.Store(first * scale, values);
        Vector128.Store(second * scale, values + 4);
        Vector128.Store(third * scale, values + 8);
        Vector128.Store(fourth * scale, values + 12);
    }

    /// <summary>quant · scale + offset, each rounded on its own.</summary>
    public static void Store(Vector128<sbyte> quants, float scale, float offset, float* values)
    {
        var (first, second, third, fourth) = Floats(quants);
        var add = Vector128.Create(offset);
        Vector128.Store((first * scale) + add, values);
        Vector128.Store((second * scale) + add, values + 4);
        Vector128.Store((third * scale) + add, values + 8);
        Vector128.Store((fourth * scale) + add, values + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<float> First, Vector128<float> Second, Vector128<float> Third, Vector128<float> Fourth) Floats(Vector128<sbyte> quants)
    {
        var (low, high) = Vector128.Widen(quants);
        var (first, second) = Vector128.Widen(low);
        var (third, fourth) = Vector128.Widen(high);
        return (Vector128.ConvertToSingle(first), Vector128.ConvertToSingle(second), Vector128.ConvertToSingle(third), Vector128.ConvertToSingle(fourth));
    }
}
