using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>Σ x² of each row of float32 or bfloat16, read where it lies.</summary>
internal sealed class RowSquares : IRowSquares
{
    public bool TryAdd(in KernelMatrix squares, in KernelMatrix matrix)
    {
        if (squares is not { Rows: 1, ElementType: ScalarType.Float32 } || squares.Columns != matrix.Rows) return false;
        if (matrix.ElementType is not (ScalarType.Float32 or ScalarType.BFloat16) || matrix.Columns == 0 || matrix.Columns % Vector512<float>.Count != 0) return false;
        KernelRows.Run(matrix.Rows, matrix.Columns, new Kernel(squares, matrix));
        return true;
    }

    private readonly struct Kernel(KernelMatrix squares, KernelMatrix matrix) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                Vector512<float> even = default, odd = default;
                nint column = 0;
                for (; column + (2 * Vector512<float>.Count) <= matrix.Columns; column += 2 * Vector512<float>.Count)
                {
                    var (a, b) = (ShardProducts.Load(matrix, row, column), ShardProducts.Load(matrix, row, column + Vector512<float>.Count));
                    even = Vector512.FusedMultiplyAdd(a, a, even);
                    odd = Vector512.FusedMultiplyAdd(b, b, odd);
                }

                if (column < matrix.Columns)
                {
                    var last = ShardProducts.Load(matrix, row, column);
                    even = Vector512.FusedMultiplyAdd(last, last, even);
                }

                Unsafe.Add(ref squares.Row<float>(0), (nint)row) += Vector512.Sum(even + odd);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(squares, 0, row, 1);
    }
}
