using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;

namespace Fossil.Models.Kernels;

/// <summary>What lies between the products of a layer, for a single row of whole vectors in float32, rounded to <c>T</c> (float32 or bfloat16) as tensors of it would be.</summary>
internal static unsafe class TokenRow
{
    /// <summary>A row of a tensor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read<T>(T* source, float* row, long count) where T : unmanaged
    {
        for (nuint i = 0; i < (nuint)count; i += Lanes.Count) Lanes.Load(ref *source, i).Store(row + i);
    }

    /// <summary>A row to a tensor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write<T>(float* row, T* target, long count) where T : unmanaged
    {
        for (nuint i = 0; i < (nuint)count; i += Lanes.Count) Lanes.Store(Vector512.Load(row + i), ref *target, i);
    }

    /// <summary>Rounds where it lies.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round<T>(float* row, long count) where T : unmanaged
    {
        if (typeof(T) == typeof(float)) return;
        for (long i = 0; i < count; i += Lanes.Count) Lanes.Round<T>(Vector512.Load(row + i)).Store(row + i);
    }

    /// <summary>row · factor, rounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale<T>(float* row, float factor, long count) where T : unmanaged
    {
        for (long i = 0; i < count; i += Lanes.Count) Lanes.Round<T>(Vector512.Load(row + i) * factor).Store(row + i);
    }

    /// <summary>row + factor · added, each rounded; the product is not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add<T>(float* row, float* added, float factor, long count) where T : unmanaged
    {
        for (long i = 0; i < count; i += Lanes.Count) Lanes.Round<T>(Vector512.Load(row + i) + (Lanes.Round<T>(Vector512.Load(added + i)) * factor)).Store(row + i);
    }

    /// <summary>The norm, as <see cref="RmsNormKernel{T}"/> computes it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Norm<T>(float* row, RMSNorm norm, float* target, long count) where T : unmanaged
    {
        var weight = (T*)NativeTensor.Data(norm.Weight);
        var scale = 1 / MathF.Sqrt((RowSum.Of(new Squares(row), (nuint)count) / count) + (float)norm.Epsilon);
        for (nuint i = 0; i < (nuint)count; i += Lanes.Count) Lanes.Round<T>(Lanes.Round<T>(Vector512.Load(row + i) * scale) * Lanes.Load(ref *weight, i)).Store(target + i);
    }

    /// <summary>silu(gate) · up of products that are not rounded yet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gate<T>(float* gate, float* up, float* target, long count) where T : unmanaged
    {
        for (long i = 0; i < count; i += Lanes.Count)
        {
            var activated = Lanes.Round<T>(Lanes.Silu(Lanes.Round<T>(Vector512.Load(gate + i))));
            Lanes.Round<T>(activated * Lanes.Round<T>(Vector512.Load(up + i))).Store(target + i);
        }
    }

    private readonly struct Squares(float* row) : IRowTerms
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(nuint index)
        {
            var v = Vector512.Load(row + index);
            return v * v;
        }
    }
}
