using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Fossil.Kernels.Cpu;

/// <summary>Blocks of rows of the score matrix, in float32, and their softmax. Row i of a block that starts at row s sees columns up to s + i.</summary>
internal static unsafe class AttentionScores
{
    /// <summary>How many columns the rows up to <paramref name="end"/> need, in whole panels.</summary>
    public static nint Columns(nint end) => (nint)PanelProduct.Panels(end) * PanelProduct.Width;

    /// <summary>product = X Y for rows X (rows, depth) and Y (depth, columns), a panel at a time; in pieces of the depth, so that fewer roundings add up.</summary>
    public static void Multiply(nint rows, nint depth, float* x, nint xStride, float* y, nint columns, nint stride, float* product)
    {
        const int DepthAtOnce = 32;
        for (nint panel = 0; panel < columns; panel += PanelProduct.Width)
        {
            for (nint k = 0; k < depth; k += DepthAtOnce)
            {
                PanelProduct.Multiply(rows, Math.Min(DepthAtOnce, depth - k), x + k, xStride, 1, y + (k * stride) + panel, stride, product + panel, stride, accumulate: k > 0);
            }
        }
    }

    /// <summary>The largest of the scores from <paramref name="first"/> to <paramref name="end"/>; those beside them are hidden from what follows. NaN where there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Largest(float* scores, nint first, nint end)
    {
        var start = Hide(scores, first, end);
        var most = Vector512.Load(scores + start);
        for (var i = start + Lanes.Count; i < end; i += Lanes.Count) most = Vector512.Max(most, Vector512.Load(scores + i));
        return Lanes.Max(most);
    }

    /// <summary>
    /// Of hidden scores, exp(scale · score − largest), rounded to <typeparamref name="T"/> as libtorch's attention multiplies the values by them; 0 for columns that are not seen, up to
    /// <paramref name="columns"/>. The largest is scaled too.
    /// </summary>
    /// <typeparam name="T">Of the attention's elements.</typeparam>
    /// <typeparam name="TResult">Of the results: <see cref="float"/>, which may lie where the scores do, or <typeparamref name="T"/>.</typeparam>
    /// <returns>Their sum before the rounding.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exponentiate<T, TResult>(float* scores, float scale, float largest, nint first, nint end, nint columns, TResult* results) where T : unmanaged where TResult : unmanaged
    {
        var (factor, offset, sums) = (Vector512.Create(scale), Vector512.Create(largest), Vector512<float>.Zero);
        var column = first / Lanes.Count * Lanes.Count;
        Clear(results, 0, column);
        for (; column < end; column += Lanes.Count)
        {
            var e = Lanes.ExpOfScore<T>((Vector512.Load(scores + column) * factor) - offset);
            Lanes.StoreRounded(Lanes.Round<T>(e), results + column);
            sums += e;
        }

        Clear(results, column, columns);
        return Vector512.Sum(sums);
    }

    /// <summary>Replaces the scores by the probabilities p = exp(scale · score − normalizer).</summary>
    /// <returns>Σ p g, the mean of their gradients g.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Normalize(float* scores, float scale, float normalizer, float* gradients, nint first, nint end)
    {
        var (factor, offset, sums) = (Vector512.Create(scale), Vector512.Create(normalizer), Vector512<float>.Zero);
        for (var column = Hide(scores, first, end); column < end; column += Lanes.Count)
        {
            var p = Lanes.Exp((Vector512.Load(scores + column) * factor) - offset);
            p.Store(scores + column);
            sums = Vector512.FusedMultiplyAdd(p, Vector512.Load(gradients + column), sums);
        }

        return Vector512.Sum(sums);
    }

    /// <summary>Of probabilities p and their gradients g those of the scaled scores, p (g − mean); both are 0 for columns that are not seen, up to <paramref name="columns"/>.</summary>
    /// <typeparam name="TResult">Of the results: <see cref="float"/>, which may lie where probabilities and gradients do, or <see cref="ushort"/> for bfloat16, to which they are rounded.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Differentiate<TResult>(float* probabilities, float* gradients, float mean, nint first, nint end, nint columns, TResult* results, TResult* differentials) where TResult : unmanaged
    {
        var offset = Vector512.Create(mean);
        var column = first / Lanes.Count * Lanes.Count;
        Clear(results, 0, column);
        Clear(differentials, 0, column);
        for (; column < end; column += Lanes.Count)
        {
            var p = Vector512.Load(probabilities + column);
            Lanes.StoreRounded(Lanes.Round<TResult>(p), results + column);
            Lanes.StoreRounded(Lanes.Round<TResult>(p * (Vector512.Load(gradients + column) - offset)), differentials + column);
        }

        Clear(results, column, columns);
        Clear(differentials, column, columns);
    }

    /// <summary>Makes single columns that are not seen −∞, beside the seen ones in their vectors.</summary>
    /// <returns>The first vector with a column that is seen.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint Hide(float* scores, nint first, nint end)
    {
        var start = first / Lanes.Count * Lanes.Count;
        var last = (end - 1) / Lanes.Count * Lanes.Count;
        var hidden = Vector512.Create(float.NegativeInfinity);
        if (first > start) Vector512.ConditionalSelect(Vector512.LessThan(Vector512<int>.Indices, Vector512.Create((int)(first - start))).AsSingle(), hidden, Vector512.Load(scores + start)).Store(scores + start);
        if (end - last < Lanes.Count) Vector512.ConditionalSelect(Vector512.LessThan(Vector512<int>.Indices, Vector512.Create((int)(end - last))).AsSingle(), Vector512.Load(scores + last), hidden).Store(scores + last);
        return start;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear<TResult>(TResult* row, nint column, nint end) where TResult : unmanaged
    {
        for (; column < end; column += Lanes.Count) Lanes.StoreRounded(Vector512<float>.Zero, row + column);
    }
}
