using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// The table of rotary angles, whose rows repeat for each sequence: pairs of dimensions (i, i + head_dim/2) turn by their position's angle,
/// y = x cos + (−x₂, x₁) sin.
/// </summary>
/// <param name="cos">(tokens or batch · tokens, head_dim), float32; no rows for no rotation.</param>
/// <param name="sin">As the cosines.</param>
internal readonly struct RotaryAngles(KernelMatrix cos, KernelMatrix sin)
{
    private readonly bool rotate = cos.Rows > 0;

    /// <summary>The row of the table for a row of heads.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long Position(long row) => rotate ? row % cos.Rows : 0;

    /// <summary>Sixteen pairs of a head at <paramref name="position"/>, turned forwards, with the roundings of a model of <typeparamref name="T"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Turn<T>(long position, nuint pair, ref Vector512<float> a, ref Vector512<float> b) where T : unmanaged
    {
        if (!rotate) return;
        var (c, s) = Load<T>(position, pair);
        (a, b) = (Lanes.Round<T>(Lanes.Round<T>(a * c) - Lanes.Round<T>(b * s)), Lanes.Round<T>(Lanes.Round<T>(b * c) + Lanes.Round<T>(a * s)));
    }

    /// <summary>Sixteen pairs of a gradient, turned back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void TurnBack<T>(long position, nuint pair, ref Vector512<float> a, ref Vector512<float> b) where T : unmanaged
    {
        if (!rotate) return;
        var (c, s) = Load<T>(position, pair);
        (a, b) = (a * c + b * s, b * c - a * s);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private (Vector512<float> Cos, Vector512<float> Sin) Load<T>(long position, nuint pair) where T : unmanaged =>
        (Lanes.Round<T>(Lanes.Load(ref cos.Row<float>(position), pair)), Lanes.Round<T>(Lanes.Load(ref sin.Row<float>(position), pair)));
}
