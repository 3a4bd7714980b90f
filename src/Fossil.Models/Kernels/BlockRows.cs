using Fossil.Adapters;
using Fossil.CompilerServices;
using Fossil.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>Writes rows of a <see cref="BlockWeight"/> out as numbers.</summary>
internal static unsafe class BlockRows
{
    /// <summary>Some rows and columns, a new tensor (count, columns) in the weight's dtype and on its device.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="first">The first row.</param>
    /// <param name="numbers">The rows, where they do not follow each other; <paramref name="first"/> is 0 then.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="columns">The columns, whole blocks.</param>
    public static Tensor Write(BlockWeight weight, long first, long[]? numbers, long count, RowRange columns)
    {
        var dtype = weight.Dtype is ScalarType.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        var rows = empty(count, columns.Count, dtype: dtype);
        Write(weight, first, numbers, columns, rows);
        if (rows.dtype == weight.Dtype && weight.Device.type == DeviceType.CPU) return rows;
        using (rows) return rows.to(weight.Dtype, weight.Device);
    }

    /// <summary>Writes whole rows that follow each other into memory that is there; false where it is of no dtype that is written, or not the processor's.</summary>
    public static bool TryWrite(BlockWeight weight, long first, Tensor destination)
    {
        if (destination.dtype is not (ScalarType.BFloat16 or ScalarType.Float32) || destination.device_type != DeviceType.CPU) return false;
        Write(weight, first, null, new(0, weight.InFeatures), destination);
        return true;
    }

    private static void Write(BlockWeight weight, long first, long[]? numbers, RowRange columns, Tensor destination)
    {
        // The blocks are read by the processor: those of another device come here, as they are.
        using var bytes = weight.Bytes.cpu();
        var source = (byte*)NativeTensor.Data(bytes) + (columns.Start / weight.Block.Elements * weight.Block.Bytes);
        var rows = KernelMatrix.Of(destination);
        KernelRows.Run(rows.Rows, columns.Count, new Kernel(weight, source, bytes.size(1), first, numbers, rows));
        GC.KeepAlive(bytes);
        GC.KeepAlive(destination);
    }

    /// <summary>A row of the weight (in Hugging Face's order) with NaN or infinity; null where there is none.</summary>
    public static long? FindNonFinite(BlockWeight weight)
    {
        using var bytes = weight.Bytes.cpu();
        var isFinite = new bool[bytes.size(0)];
        fixed (bool* answers = isFinite) KernelRows.Run(isFinite.Length, weight.InFeatures, new Check(weight, (byte*)NativeTensor.Data(bytes), bytes.size(1), weight.InFeatures, answers));
        GC.KeepAlive(bytes);
        return Array.IndexOf(isFinite, false) is >= 0 and var row ? row : null;
    }

    private readonly struct Check(BlockWeight weight, byte* source, long rowBytes, long width, bool* answers) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++) answers[row] = weight.Block.IsFinite(source + (weight.Order.InFile(row) * rowBytes), width);
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(answers + row, 1);
    }

    private readonly struct Kernel(BlockWeight weight, byte* source, long rowBytes, long start, long[]? numbers, KernelMatrix rows) : IRowKernel
    {
        public void Run(long first, long end)
        {
            var (block, order) = (weight.Block, weight.Order);
            for (var row = first; row < end; row++)
            {
                var from = source + (order.InFile(numbers is null ? start + row : numbers[row]) * rowBytes);
                if (rows.ElementType == ScalarType.Float32)
                {
                    fixed (float* to = &rows.Row<float>(row)) block.Dequantise(from, to, rows.Columns);
                }
                else
                {
                    fixed (ushort* to = &rows.Row<ushort>(row)) block.Dequantise(from, to, rows.Columns);
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(rows, row);
    }
}
