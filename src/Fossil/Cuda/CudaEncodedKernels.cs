using System.Collections.Concurrent;
using Fossil.Adapters;
using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Cuda;

/// <summary>
/// Weights that are held as blocks or codes on CUDA devices. Few rows are multiplied from the blocks, each of which is read once; for more, tiles are written out into one buffer a device, and cuBLAS
/// multiplies them. Nothing that is written out outlives its tile.
/// </summary>
internal sealed class CudaEncodedKernels(CudaRuntime runtime) : IEncodedProduct
{
    // In 16 bits 32 MB, which stay in the second cache of a large device between their kernel and the product: a matrix (4096, 4096) is one.
    private const long TileElements = 1 << 24;

    // A format's columns are multiples of no more.
    private const long NarrowestTile = 256;

    private readonly ConcurrentDictionary<(string Format, ScalarType Element, ScalarType Stored), Kernels?> kernels = [];
    private readonly CudaProducts products = new(runtime);
    private readonly CudaTiles tiles = new();

    public bool TryProduct(in KernelMatrix output, in KernelMatrix input, EncodedForm weight, bool adds)
    {
        if (!AreOperands(output, input, weight.Rows, weight.Columns) || Prepare(output, weight) is not var (device, known)) return false;
        if (input.Rows == 0 || weight.Rows == 0) return true;
        var (x, y) = (CudaMatrix.Of(input), CudaMatrix.Of(output));
        if (input.Rows <= CudaEncodedLaunches.MostRows && CudaEncodedLaunches.HasVectors(x))
        {
            device.Launch(known.Source, CudaEncodedLaunches.Multiply(Encoded(weight), x, y, adds));
            return true;
        }

        if (!products.Multiplies(input) || !CudaProducts.Counts(input) || !CudaProducts.Counts(output)) return false;
        var from = input;
        foreach (var rows in RowRange.Pieces(weight.Rows, Math.Max(1, TileElements / weight.Columns)))
        {
            using var part = output.Tensor.narrow(1, rows.Start, rows.Count);
            tiles.Use(output, rows.Count, weight.Columns, tile =>
            {
                device.Launch(known.Source, CudaEncodedLaunches.Write(Encoded(weight), CudaMatrix.Of(tile), 0, (rows.Start, 0)));
                products.Multiply(from, false, tile, true, KernelMatrix.Of(part), adds ? 1 : 0, "y = x Wᵀ");
            });
        }

        return true;
    }

    public bool TryInputGradient(in KernelMatrix inputGradient, in KernelMatrix gradOutput, EncodedForm weight, bool adds)
    {
        if (!AreOperands(inputGradient, gradOutput, weight.Columns, weight.Rows) || Prepare(inputGradient, weight) is not var (device, known)) return false;
        if (!products.Multiplies(gradOutput) || !CudaProducts.Counts(gradOutput) || !CudaProducts.Counts(inputGradient)) return false;
        if (gradOutput.Rows == 0 || weight.Columns == 0) return true;

        // By columns, so that each column of the result is one product, rounded once.
        var from = gradOutput;
        foreach (var columns in RowRange.Pieces(weight.Columns, Math.Max(NarrowestTile, TileElements / Math.Max(1, weight.Rows) / NarrowestTile * NarrowestTile)))
        {
            using var part = inputGradient.Tensor.narrow(1, columns.Start, columns.Count);
            tiles.Use(inputGradient, weight.Rows, columns.Count, tile =>
            {
                device.Launch(known.Source, CudaEncodedLaunches.Write(Encoded(weight), CudaMatrix.Of(tile), 0, (0, columns.Start)));
                products.Multiply(from, false, tile, false, KernelMatrix.Of(part), adds ? 1 : 0, "dx = dy W");
            });
        }

        return true;
    }

    public bool TryWrite(in KernelMatrix values, EncodedForm weight, (long Row, long Column) first, in KernelMatrix numbers)
    {
        if (values.Tensor is null || values.RowsOverlap || Prepare(values, weight) is not var (device, known)) return false;
        if (values.Rows == 0 || values.Columns == 0) return true;
        var to = CudaMatrix.Of(values);
        if (!CudaEncodedLaunches.HasVectors(to) || first.Column % known.Format.Columns != 0 || values.Rows > int.MaxValue) return false;
        if (numbers.Tensor is not null && (!numbers.IsPlain(ScalarType.Int64) || numbers.Columns != values.Rows)) return false;
        device.Launch(known.Source, CudaEncodedLaunches.Write(Encoded(weight), to, numbers.Tensor is null ? 0 : numbers.Address, first));
        return true;
    }

    private static bool AreOperands(in KernelMatrix result, in KernelMatrix factor, long columns, long inner) =>
        result.Tensor is not null && factor.Tensor is not null && !result.RowsOverlap && result.ElementType == factor.ElementType && result.Rows == factor.Rows && result.Columns == columns && factor.Columns == inner;

    /// <summary>The device, with the kernels for a weight and a dtype; null where there are none.</summary>
    private (CudaDevice Device, Kernels Kernels)? Prepare(in KernelMatrix operand, EncodedForm weight)
    {
        if (kernels.GetOrAdd((weight.Format, operand.ElementType, weight.Stored), static key => Kernels.Of(key.Format, key.Element, key.Stored)) is not { } known) return null;
        if (weight.Columns % known.Format.Columns != 0 || weight.Columns > int.MaxValue - NarrowestTile || weight.Rows > int.MaxValue || !weight.Codes.is_contiguous()) return null;
        if (NativeTensor.Data(weight.Codes) % known.Format.Alignment != 0 || weight.RowBytes % known.Format.Alignment != 0) return null;
        return runtime.Device(Math.Max(0, operand.Tensor.device_index)) is { } device && device.Prepare(known.Source, known.Name) ? (device, known) : null;
    }

    /// <summary>A weight's memory, and where its scales are copied to.</summary>
    public static CudaEncoded Encoded(EncodedForm weight) => weight.Scales is { } scales
        ? new(NativeTensor.Data(weight.Codes), weight.RowBytes, weight.HeadRows, NativeTensor.Data(scales.Values.Beside(weight.Codes)), scales.BlockRows, (int)scales.ScaleColumns, (int)scales.BlockColumns)
        : new(NativeTensor.Data(weight.Codes), weight.RowBytes, weight.HeadRows);

    private sealed record Kernels(CudaEncodedFormat Format, string Name, string Source)
    {
        public static Kernels? Of(string format, ScalarType element, ScalarType stored) =>
            CudaEncodedFormat.Find(format) is { } known && CudaElement.Find(element) is { } computed && CudaElement.Find(stored) is { } rounded
                ? new(known, $"the kernels of {format} for {element}", CudaEncodedSource.Of(known, computed, rounded))
                : null;
    }
}
