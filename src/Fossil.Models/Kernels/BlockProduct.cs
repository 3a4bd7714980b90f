using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using Fossil.Kernels.OneRow;
using Fossil.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>y = x Wᵀ + b of a <see cref="BlockWeight"/> for the few rows of a decoding step, whose time is that of reading the weight: each block is read once, and nothing is written out.</summary>
internal static unsafe class BlockProduct
{
    /// <summary>Rows from which on libtorch's product of written-out tiles is faster.</summary>
    public const int MostRows = 8;

    /// <summary>The product; null where it is not one of few rows, float32 or bfloat16, on the CPU.</summary>
    /// <param name="weight">W.</param>
    /// <param name="input">x (rows, in), contiguous, in the weight's dtype.</param>
    /// <param name="bias">b (out), or null.</param>
    /// <param name="isExact">Whether x is multiplied as it is, and not as codes of eight bits where the blocks are codes too (<see cref="CodeProduct"/>).</param>
    public static Tensor? TryRun(BlockWeight weight, Tensor input, Tensor? bias, bool isExact)
    {
        var (rows, width) = ((int)Math.Min(input.size(0), MostRows + 1), weight.InFeatures);
        if (rows is 0 or > MostRows || input.dtype is not (ScalarType.Float32 or ScalarType.BFloat16) || input.device_type != DeviceType.CPU || weight.Device.type != DeviceType.CPU) return null;
        if (bias is not null && bias.dtype != input.dtype) return null;

        var codes = isExact ? null : weight.Block.Codes;
        var codeFloats = codes is null ? 0 : (RowInput.FloatsOfCodes(width) + Lanes.Count - 1) / Lanes.Count * Lanes.Count;
        using var scratch = KernelScratch.Take(rows * (width + codeFloats));
        Widen(KernelMatrix.Of(input, rows * width), scratch.Floats, rows * width);
        var inputs = stackalloc RowInput[MostRows];
        for (var row = 0; row < rows; row++)
        {
            var values = scratch.Floats + (row * width);
            inputs[row] = codes is null ? RowInput.Of(values) : RowInput.Quantise(values, width, scratch.Floats + (rows * width) + (row * codeFloats));
        }

        var output = empty(rows, weight.OutFeatures, dtype: input.dtype);
        var pieceRows = RowLaunch.RowsOfPiece(weight.OutFeatures, width);
        KernelRows.Run((weight.OutFeatures + pieceRows - 1) / pieceRows, pieceRows * width * rows, new Kernel(weight, pieceRows, codes, (byte*)NativeTensor.Data(weight.Bytes), weight.Bytes.size(1), inputs, bias is null ? default : KernelMatrix.Of(bias), KernelMatrix.Of(output)));
        GC.KeepAlive(weight);
        GC.KeepAlive(bias);
        return output;
    }

    private static void Widen(KernelMatrix from, float* to, long count)
    {
        if (from.ElementType == ScalarType.Float32) Widen(ref from.Row<float>(0), to, (nuint)count);
        else Widen(ref from.Row<ushort>(0), to, (nuint)count);
    }

    // The width is whole blocks, and so a multiple of a vector.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<T>(ref T from, float* to, nuint count) where T : unmanaged
    {
        for (nuint i = 0; i < count; i += Lanes.Count) Lanes.Load(ref from, i).Store(to + i);
    }

    /// <summary>Its "rows" are pieces of W's, the columns of y.</summary>
    private readonly struct Kernel(BlockWeight weight, long pieceRows, CodeProduct? codes, byte* source, long rowBytes, RowInput* inputs, KernelMatrix bias, KernelMatrix output) : IRowKernel
    {
        [SkipLocalsInit]
        public void Run(long first, long end)
        {
            var sums = stackalloc float[MostRows];
            var (block, width, vectors) = (weight.Block, weight.InFeatures, (int)output.Rows);
            for (var rows = weight.Order.AsInFile(first * pieceRows, Last(end)); rows.Next();)
            {
                var row = source + (rows.InFile * rowBytes);
                if (codes is null) block.Multiply(row, width, inputs->Values, sums, vectors);
                else for (var vector = 0; vector < vectors; vector++) sums[vector] = codes.Run(row, width, inputs[vector]);
                Put(rows.Row, sums);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            for (var vector = 0; vector < output.Rows; vector++) writes.Add(output, vector, row * pieceRows, Last(row + 1) - (row * pieceRows));
        }

        private long Last(long end) => Math.Min(end * pieceRows, weight.OutFeatures);

        private void Put(long column, float* sums)
        {
            if (output.ElementType == ScalarType.Float32) PutExact(column, sums);
            else PutRounded(column, sums);
        }

        private void PutExact(long column, float* sums)
        {
            var add = bias.Rows == 0 ? 0 : Unsafe.Add(ref bias.Row<float>(0), (nint)column);
            for (var vector = 0; vector < output.Rows; vector++) Unsafe.Add(ref output.Row<float>(vector), (nint)column) = sums[vector] + add;
        }

        private void PutRounded(long column, float* sums)
        {
            var add = bias.Rows == 0 ? 0 : BFloat16Lanes.ToSingle(Unsafe.Add(ref bias.Row<ushort>(0), (nint)column));
            for (var vector = 0; vector < output.Rows; vector++) Unsafe.Add(ref output.Row<ushort>(vector), (nint)column) = BFloat16Lanes.FromSingle(sums[vector] + add);
        }
    }
}
