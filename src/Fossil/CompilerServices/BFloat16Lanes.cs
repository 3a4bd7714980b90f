using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Fossil.CompilerServices;

/// <summary>Vectors of bfloat16 in memory as vectors of float32. A bfloat16 is the upper half of a float32; the way back rounds to nearest, ties to even.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class BFloat16Lanes
{
    private const uint RoundingBias = 0x7FFF;
    private const ushort QuietNaN = 0x7FC0;

    /// <summary>Sixteen elements from <paramref name="source"/> at <paramref name="index"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ref ushort source, nuint index) =>
        (Vector512.WidenLower(Vector256.LoadUnsafe(ref source, index).ToVector512Unsafe()) << 16).AsSingle();

    /// <summary>Eight elements from <paramref name="source"/> at <paramref name="index"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ref ushort source, nuint index) =>
        (Vector256.WidenLower(Vector128.LoadUnsafe(ref source, index).ToVector256Unsafe()) << 16).AsSingle();

    /// <summary>Four elements from <paramref name="source"/> at <paramref name="index"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load128(ref ushort source, nuint index) =>
        (Vector128.WidenLower(Vector64.LoadUnsafe(ref source, index).ToVector128Unsafe()) << 16).AsSingle();

    /// <summary>Writes sixteen elements, rounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store512(Vector512<float> value, ref ushort destination, nuint index)
    {
        var bits = value.AsUInt32();
        var rounded = (bits + Vector512.Create(RoundingBias) + ((bits >>> 16) & Vector512<uint>.One)) >>> 16;
        rounded = Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, Vector512.Create((uint)QuietNaN));
        var narrow = Avx512F.IsSupported ? Avx512F.ConvertToVector256UInt16(rounded) : Vector256.Narrow(rounded.GetLower(), rounded.GetUpper());
        narrow.StoreUnsafe(ref destination, index);
    }

    /// <summary>
    /// Sixteen elements, rounded as <see cref="Store512"/> does it: where PyTorch keeps an intermediate result in bfloat16. Of NaN it keeps what processors make,
    /// so that it is three operations only.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Round512(Vector512<float> value)
    {
        var bits = value.AsUInt32();
        return ((bits + Vector512.Create(RoundingBias) + ((bits >>> 16) & Vector512<uint>.One)) & Vector512.Create(0xFFFF0000)).AsSingle();
    }

    /// <summary>Writes eight elements, rounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store256(Vector256<float> value, ref ushort destination, nuint index)
    {
        var bits = value.AsUInt32();
        var rounded = (bits + Vector256.Create(RoundingBias) + ((bits >>> 16) & Vector256<uint>.One)) >>> 16;
        rounded = Vector256.ConditionalSelect(Vector256.Equals(value, value).AsUInt32(), rounded, Vector256.Create((uint)QuietNaN));
        Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).StoreUnsafe(ref destination, index);
    }

    /// <summary>Writes four elements, rounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store128(Vector128<float> value, ref ushort destination, nuint index)
    {
        var bits = value.AsUInt32();
        var rounded = (bits + Vector128.Create(RoundingBias) + ((bits >>> 16) & Vector128<uint>.One)) >>> 16;
        rounded = Vector128.ConditionalSelect(Vector128.Equals(value, value).AsUInt32(), rounded, Vector128.Create((uint)QuietNaN));
        Vector128.Narrow(rounded, Vector128<uint>.Zero).GetLower().StoreUnsafe(ref destination, index);
    }

    /// <summary>One element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToSingle(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);

    /// <summary>One element, rounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? QuietNaN : (ushort)((bits + RoundingBias + ((bits >> 16) & 1)) >> 16);
    }
}
