using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>DoRA's sums on vectors of 512 bits, in one pass.</summary>
internal sealed class GainedSum : IGainedSum
{
    private const int Lanes = 16;

    public bool TryForward(in KernelMatrix output, in KernelMatrix change, in KernelMatrix direct, in KernelMatrix factors)
    {
        if (!Fit(output, change) || !Fit(output, direct) || factors.ElementType != ScalarType.Float32 || output.RowsOverlap) return false;
        KernelRows.Run(output.Rows, output.Columns, new ForwardKernel(output, change, direct, factors));
        return true;
    }

    public bool TryBackward(in KernelMatrix gradOutput, in KernelMatrix change, in KernelMatrix direct, in KernelMatrix factors, in KernelMatrix changeGradient, in KernelMatrix directGradient, in KernelMatrix sums)
    {
        if (!Fit(gradOutput, change) || !Fit(gradOutput, direct) || !Fit(gradOutput, changeGradient) || !Fit(gradOutput, directGradient)) return false;
        if (factors.ElementType != ScalarType.Float32 || sums.ElementType != ScalarType.Float32 || changeGradient.RowsOverlap || directGradient.RowsOverlap) return false;
        KernelRows.Run(PanelProduct.Panels(gradOutput.Columns), PanelProduct.Width * gradOutput.Rows, new BackwardKernel(gradOutput, change, direct, factors, changeGradient, directGradient, sums));
        return true;
    }

    private static bool Fit(in KernelMatrix y, in KernelMatrix other) =>
        IsWide(y) && IsWide(other) && y.Columns == other.Columns && y.Rows == other.Rows;

    private static bool IsWide(in KernelMatrix matrix) => matrix is { Rows: > 0, ElementType: ScalarType.Float32 or ScalarType.BFloat16 } && matrix.Columns % Lanes == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Factor(in KernelMatrix factors, long row, nint column) => Vector512.LoadUnsafe(ref factors.Row<float>(row), (nuint)column);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(in KernelMatrix matrix, long row, nint column, Vector512<float> value)
    {
        if (matrix.ElementType == ScalarType.Float32) value.StoreUnsafe(ref matrix.Row<float>(row), (nuint)column);
        else BFloat16Lanes.Store512(value, ref matrix.Row<ushort>(row), (nuint)column);
    }

    private readonly struct ForwardKernel(KernelMatrix y, KernelMatrix l, KernelMatrix u, KernelMatrix factors) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                for (nint column = 0; column < y.Columns; column += Lanes)
                {
                    var sum = Vector512.FusedMultiplyAdd(Factor(factors, 1, column), ShardProducts.Load(u, row, column), Factor(factors, 2, column));
                    Store(y, row, column, Vector512.FusedMultiplyAdd(Factor(factors, 0, column), ShardProducts.Load(l, row, column), sum));
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(y, row);
    }

    /// <summary>Its "rows" are panels of columns, so that each column has its sum to itself.</summary>
    private readonly struct BackwardKernel(KernelMatrix dy, KernelMatrix l, KernelMatrix u, KernelMatrix factors, KernelMatrix dl, KernelMatrix du, KernelMatrix sums) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var panel = first; panel < end; panel++)
            {
                for (var column = (nint)panel * PanelProduct.Width; column < Math.Min((panel + 1) * PanelProduct.Width, dy.Columns); column += Lanes)
                {
                    var (p, q, o, v, w) = (Factor(factors, 0, column), Factor(factors, 1, column), Factor(factors, 2, column), Factor(factors, 3, column), Factor(factors, 4, column));
                    var total = Vector512<float>.Zero;
                    for (long row = 0; row < dy.Rows; row++)
                    {
                        var gradient = ShardProducts.Load(dy, row, column);
                        var sum = Vector512.FusedMultiplyAdd(p, ShardProducts.Load(l, row, column), Vector512.FusedMultiplyAdd(q, ShardProducts.Load(u, row, column), o));
                        total = Vector512.FusedMultiplyAdd(gradient, sum, total);
                        Store(dl, row, column, v * gradient);
                        Store(du, row, column, w * gradient);
                    }

                    (total + Factor(sums, 0, column)).StoreUnsafe(ref sums.Row<float>(0), (nuint)column);
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            for (var i = 0L; i < dy.Rows; i++)
            {
                PanelProduct.DeclareWrites(writes, dl, i, row);
                if (dl.Address != du.Address) PanelProduct.DeclareWrites(writes, du, i, row);
            }

            PanelProduct.DeclareWrites(writes, sums, 0, row);
        }
    }
}
