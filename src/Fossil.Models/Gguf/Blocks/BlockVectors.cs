using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>Sixteen quants at a time to floats.</summary>
internal static unsafe class BlockVectors
{
    /// <summary>The smallest number of sixteen bits, 2^-24. Those below 2^-14 are whole multiples of it: as floats they would have to pass through numbers that processors are slow with.</summary>
    public const float LeastHalf = 5.9604645e-8f;

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
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<byte> quants, float scale, float offset, float* values) => ((Floats(quants.AsSByte()) * scale) + Vector512.Create(offset)).Store(values);

    /// <summary>quant · scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<sbyte> quants, float scale, float* values) => (Floats(quants) * scale).Store(values);

    /// <summary>A scale of sixteen bits. What .NET has for it costs as much as the rest of a block of 32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scale(Half half)
    {
        const uint LeastNormal = 0x400, LargestFinite = 0x7BFF, ExponentBias = 112u << 23;
        uint bits = BitConverter.HalfToUInt16Bits(half);
        uint magnitude = bits & 0x7FFF, sign = (bits & 0x8000) << 16;
        if (magnitude < LeastNormal) return BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits((int)magnitude * LeastHalf) | sign);
        var more = (uint)((int)(LargestFinite - magnitude) >> 31) & ExponentBias;
        return BitConverter.UInt32BitsToSingle((magnitude << 13) + ExponentBias + more | sign);
    }

    /// <summary>Eight quants, a byte each, as floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Floats(ulong quants)
    {
        var bytes = Vector128.CreateScalar(quants).AsSByte();
        if (Avx2.IsSupported) return Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(bytes));
        var (first, second) = Vector128.Widen(Vector128.WidenLower(bytes));
        return Vector256.ConvertToSingle(Vector256.Create(first, second));
    }

    /// <summary>Sixteen quants as floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Floats(Vector128<sbyte> quants)
    {
        if (Avx512F.IsSupported) return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(quants));
        var (low, high) = Vector128.Widen(quants);
        var (first, second) = Vector128.Widen(low);
        var (third, fourth) = Vector128.Widen(high);
        return Vector512.ConvertToSingle(Vector512.Create(Vector256.Create(first, second), Vector256.Create(third, fourth)));
    }
}
