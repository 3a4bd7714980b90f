using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// y = W x for a single bfloat16 row, or y = W x + S D. Generating a text token by token spends its time on setting operations up and on reading the weights: this sets up one
/// operation and reads each weight once.
/// </summary>
internal sealed class OneRowProduct : IOneRowProduct
{
    private const int LargestInput = 8192, LargestShard = 512, Lanes = 16;

    public bool TryRun(in KernelMatrix output, in KernelMatrix input, in KernelMatrix weight)
    {
        if (!Fit(output, input, weight)) return false;
        KernelRows.Run(PanelProduct.Panels(output.Columns), PanelProduct.Width * input.Columns, new Kernel(output, input, weight, default));
        return true;
    }

    public bool TryRun(in KernelMatrix output, in KernelMatrix input, in KernelMatrix weight, in KernelMatrix shard)
    {
        if (!Fit(output, input, weight) || shard.ElementType != ScalarType.Float32 || shard.Columns != output.Columns) return false;
        if (shard.Rows > LargestShard || shard.Rows % Lanes != 0 || input.Columns % shard.Rows != 0) return false;
        KernelRows.Run(PanelProduct.Panels(output.Columns), PanelProduct.Width * input.Columns, new Kernel(output, input, weight, shard));
        return true;
    }

    private static bool Fit(in KernelMatrix output, in KernelMatrix input, in KernelMatrix weight) =>
        input.ElementType == ScalarType.BFloat16 && output.ElementType == ScalarType.BFloat16 && weight.ElementType == ScalarType.BFloat16
        && input.Rows == 1 && input.Columns <= LargestInput && input.Columns % (2 * Lanes) == 0 && output.Columns >= PanelProduct.Width;

    /// <summary>Its "rows" are panels of y. Without D there is no adapter.</summary>
    private readonly unsafe struct Kernel(KernelMatrix y, KernelMatrix x, KernelMatrix w, KernelMatrix d) : IRowKernel
    {
        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var input = stackalloc float[LargestInput];
            var sums = stackalloc float[LargestShard];
            var product = stackalloc float[PanelProduct.Width];
            var (width, shardSize) = ((nint)x.Columns, (nint)d.Rows);
            ref var source = ref x.Row<ushort>(0);
            for (nint i = 0; i < width; i += Lanes) BFloat16Lanes.Load512(ref source, (nuint)i).Store(input + i);
            ShardProducts.SumShards(x, 0, shardSize, sums);

            ref var target = ref y.Row<ushort>(0);
            for (var panel = first; panel < end; panel++)
            {
                var (column, shared) = (PanelProduct.FirstColumn(panel, y.Columns), PanelProduct.SharedColumns(panel, y.Columns));
                if (shardSize > 0)
                {
                    fixed (float* shard = &d.Row<float>(0))
                    {
                        PanelProduct.Multiply(1, shardSize, sums, shardSize, 1, shard + column, (nint)d.RowStride, product, PanelProduct.Width, accumulate: false);
                    }
                }

                for (var i = shared & ~3; i < PanelProduct.Width; i += 4)
                {
                    var dots = Dots(input, width, ref w.Row<ushort>(column + i), (nint)w.RowStride);
                    for (var j = (int)Math.Max(0, shared - i); j < 4; j++)
                    {
                        var rounded = BFloat16Lanes.FromSingle(dots[j]);
                        // As with separate operations: the base is rounded, then the sum.
                        Unsafe.Add(ref target, column + i + j) = shardSize == 0 ? rounded : BFloat16Lanes.FromSingle(BFloat16Lanes.ToSingle(rounded) + product[i + j]);
                    }
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => PanelProduct.DeclareWrites(writes, y, 0, panel: row);

        /// <summary>The products of x with four rows of W.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static Vector128<float> Dots(float* x, nint width, ref ushort row, nint stride)
        {
            ref var row1 = ref Unsafe.Add(ref row, stride);
            ref var row2 = ref Unsafe.Add(ref row1, stride);
            ref var row3 = ref Unsafe.Add(ref row2, stride);
            Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
            for (nint i = 0; i < width; i += 2 * Lanes)
            {
                var (even, odd) = (Vector512.Load(x + i), Vector512.Load(x + i + Lanes));
                a0 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row, (nuint)i), even, a0);
                a1 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row1, (nuint)i), even, a1);
                a2 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row2, (nuint)i), even, a2);
                a3 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row3, (nuint)i), even, a3);
                b0 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row, (nuint)(i + Lanes)), odd, b0);
                b1 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row1, (nuint)(i + Lanes)), odd, b1);
                b2 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row2, (nuint)(i + Lanes)), odd, b2);
                b3 = Vector512.FusedMultiplyAdd(BFloat16Lanes.Load512(ref row3, (nuint)(i + Lanes)), odd, b3);
            }

            return Vector128.Create(Vector512.Sum(a0 + b0), Vector512.Sum(a1 + b1), Vector512.Sum(a2 + b2), Vector512.Sum(a3 + b3));
        }
    }
}
