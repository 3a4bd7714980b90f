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

    /// <summary>
    /// Replaces the scores from <paramref name="first"/> to <paramref name="end"/> by exp(score − largest), rounded to <typeparamref name="T"/> as libtorch's attention multiplies the
    /// values by them, and the others up to <paramref name="columns"/> by 0.
    /// </summary>
    /// <returns>Their sum before the rounding, and the largest.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (float Sum, float Largest) Exponentiate<T>(float* scores, nint first, nint end, nint columns) where T : unmanaged
    {
        var start = Hide(scores, first, end, columns);
        var most = Vector512.Load(scores + start);
        for (var i = start + Lanes.Count; i < end; i += Lanes.Count) most = Vector512.Max(most, Vector512.Load(scores + i));
        var largest = Lanes.Max(most);

        var sums = Vector512<float>.Zero;
        var offset = Vector512.Create(largest);
        var column = start;
        for (; column < end; column += Lanes.Count)
        {
            var e = Lanes.ExpOfScore<T>(Vector512.Load(scores + column) - offset);
            Lanes.Round<T>(e).Store(scores + column);
            sums += e;
        }

        for (; column < columns; column += Lanes.Count) Vector512<float>.Zero.Store(scores + column);
        return (Vector512.Sum(sums), largest);
    }

    /// <summary>Replaces scores by the probabilities p = exp(score − normalizer), and the gradients of the probabilities by those of the scores, p (g − Σ p g).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Differentiate(float* scores, float* gradients, float normalizer, nint first, nint end, nint columns)
    {
        var start = Hide(scores, first, end, columns);
        for (nint i = 0; i < start; i += Lanes.Count) Vector512<float>.Zero.Store(gradients + i);
        var (offset, sums) = (Vector512.Create(normalizer), Vector512<float>.Zero);
        var column = start;
        for (; column < end; column += Lanes.Count)
        {
            var p = Lanes.Exp(Vector512.Load(scores + column) - offset);
            p.Store(scores + column);
            sums = Vector512.FusedMultiplyAdd(p, Vector512.Load(gradients + column), sums);
        }

        var mean = Vector512.Create(Vector512.Sum(sums));
        for (column = start; column < end; column += Lanes.Count)
        {
            var p = Vector512.Load(scores + column);
            (p * (Vector512.Load(gradients + column) - mean)).Store(gradients + column);
        }

        for (; column < columns; column += Lanes.Count)
        {
            Vector512<float>.Zero.Store(scores + column);
            Vector512<float>.Zero.Store(gradients + column);
        }
    }

    /// <summary>Takes columns that are not seen out of the softmax: whole vectors before the first become 0, single ones beside the seen ones −∞.</summary>
    /// <returns>The first vector with a column that is seen.</returns>
    private static nint Hide(float* scores, nint first, nint end, nint columns)
    {
        for (var i = end; i < columns && i % Lanes.Count != 0; i++) scores[i] = float.NegativeInfinity;
        var start = first / Lanes.Count * Lanes.Count;
        for (nint i = 0; i < start; i += Lanes.Count) Vector512<float>.Zero.Store(scores + i);
        for (var i = start; i < first; i++) scores[i] = float.NegativeInfinity;
        return start;
    }
}
