using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// Sixteen elements at a time of float32 (<see cref="float"/>) or bfloat16 (<see cref="ushort"/>) memory, computed in float32. Loops over them are compiled with
/// full optimisation at once: before it tiers up, vector code is slower by an order of magnitude, and a short fine-tuning would not see the end of that.
/// </summary>
internal static class Lanes
{
    /// <summary>Elements of a vector.</summary>
    public const int Count = 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load<T>(ref T row, nuint index) where T : unmanaged => typeof(T) == typeof(float)
        ? Vector512.LoadUnsafe(ref Unsafe.As<T, float>(ref row), index)
        : BFloat16Lanes.Load512(ref Unsafe.As<T, ushort>(ref row), index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(Vector512<float> value, ref T row, nuint index) where T : unmanaged
    {
        if (typeof(T) == typeof(float)) value.StoreUnsafe(ref Unsafe.As<T, float>(ref row), index);
        else BFloat16Lanes.Store512(value, ref Unsafe.As<T, ushort>(ref row), index);
    }

    /// <summary>Writes elements that are rounded to <typeparamref name="T"/> already.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void StoreRounded<T>(Vector512<float> value, T* target) where T : unmanaged
    {
        if (typeof(T) == typeof(float)) value.Store((float*)target);
        else Avx512F.ConvertToVector256UInt16(value.AsUInt32() >>> 16).Store((ushort*)target);
    }

    /// <summary>One element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Element<T>(ref T row, nuint index) where T : unmanaged => typeof(T) == typeof(float)
        ? Unsafe.As<T, float>(ref Unsafe.Add(ref row, index))
        : BFloat16Lanes.ToSingle(Unsafe.As<T, ushort>(ref Unsafe.Add(ref row, index)));

    /// <summary>
    /// An intermediate result as transformers keeps it: in the model's dtype, between two operations of PyTorch. Without it bfloat16 models would be a little more
    /// exact than there, and their losses would not be the same. Backward passes are computed in float32, but for the factors of products by <see cref="BFloat16Blocks"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round<T>(Vector512<float> value) where T : unmanaged => typeof(T) == typeof(float) ? value : BFloat16Lanes.Round512(value);

    /// <summary>
    /// eˣ of a score x ≤ 0 that is rounded to <typeparamref name="T"/> afterwards. For bfloat16 it is the approximation by Malossi et al. (Fast Exponential Computation
    /// on SIMD Architectures, 2015) with which libtorch's attention computes too: 2ʸ, y = x log₂e, by a polynomial of the fraction of y, within 1.1e-4.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ExpOfScore<T>(Vector512<float> x) where T : unmanaged
    {
        if (typeof(T) == typeof(float)) return Exp(x);
        const float SmallestExponent = -87.33654f, Log2E = 1.442695f, OneInBits = 1 << 23, Bias = 127f * OneInBits;
        var y = x * Log2E;
        var fraction = y - Vector512.Floor(y);
        var correction = Vector512.FusedMultiplyAdd(fraction, Vector512.Create(-0.079204240219773236f), Vector512.Create(-0.22433836478672356f));
        correction = Vector512.FusedMultiplyAdd(fraction, correction, Vector512.Create(0.30354260500649682f));
        correction = Vector512.FusedMultiplyAdd(fraction, correction, Vector512.Create(0.00010703434948458272f));
        var bits = Vector512.ConvertToInt32Native(Vector512.FusedMultiplyAdd(Vector512.Create(OneInBits), y - correction, Vector512.Create(Bias)));
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512.Create(SmallestExponent)), Vector512<float>.Zero, bits.AsSingle());
    }

    /// <summary>
    /// eˣ within one unit in the last place, by the steps of SLEEF's <c>expf</c> (u10), which libtorch's softmax computes: x = q ln 2 + s, then a polynomial of s.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        const float Log2E = 1.442695041f, Ln2High = 0.693145751953125f, Ln2Low = 1.428606765330187045e-06f, Smallest = -104, Largest = 100;
        const int Bias = 127, FractionBits = 23;
        var q = Vector512.Round(x * Log2E);
        var s = Vector512.FusedMultiplyAdd(q, Vector512.Create(-Ln2Low), Vector512.FusedMultiplyAdd(q, Vector512.Create(-Ln2High), x));
        var series = Vector512.FusedMultiplyAdd(Vector512.Create(0.000198527617612853646278381f), s, Vector512.Create(0.00139304355252534151077271f));
        series = Vector512.FusedMultiplyAdd(series, s, Vector512.Create(0.00833336077630519866943359f));
        series = Vector512.FusedMultiplyAdd(series, s, Vector512.Create(0.0416664853692054748535156f));
        series = Vector512.FusedMultiplyAdd(series, s, Vector512.Create(0.166666671633720397949219f));
        series = Vector512.FusedMultiplyAdd(series, s, Vector512.Create(0.5f));
        var fraction = Vector512<float>.One + Vector512.FusedMultiplyAdd(s * s, series, s);

        // Times 2^q in two steps, so that results below the smallest normal number come out too.
        var power = Vector512.ConvertToInt32Native(q);
        var half = power >> 1;
        var scaled = fraction * ((half + Vector512.Create(Bias)) << FractionBits).AsSingle() * ((power - half + Vector512.Create(Bias)) << FractionBits).AsSingle();
        scaled = Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512.Create(Smallest)), Vector512<float>.Zero, scaled);
        return Vector512.ConditionalSelect(Vector512.GreaterThan(x, Vector512.Create(Largest)), Vector512.Create(float.PositiveInfinity), scaled);
    }

    /// <summary>The sum of all elements, halves added to halves as in libtorch's reductions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> x)
    {
        var eight = x.GetLower() + x.GetUpper();
        var four = eight.GetLower() + eight.GetUpper();
        return four[0] + four[2] + (four[1] + four[3]);
    }

    /// <summary>The largest element; NaN where there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector512<float> x)
    {
        var eight = Vector256.Max(x.GetLower(), x.GetUpper());
        var four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return MathF.Max(MathF.Max(four[0], four[1]), MathF.Max(four[2], four[3]));
    }

    /// <summary>x / (1 + e⁻ˣ).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Silu(Vector512<float> x) => x / (Vector512<float>.One + Exp(-x));
}
