using Fossil.Adapters;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>
/// A weight that is written out a tile of rows and columns at a time: each element once for a product, into memory that stays in the cache, from which libtorch's product takes it for all rows of the
/// input. Nothing that is written out outlives its tile, and the backward pass keeps the encoded tensors alone.
/// </summary>
internal abstract class TiledWeight : LinearWeight
{
    // Of bfloat16 1 MB a thread, which a core's second cache holds; of more threads than these, the last cache of all. On a device a launch is to have work for all of it.
    private const long ThreadElements = 1 << 19, MostThreads = 8, ElementsOfDevice = 1 << 24;

    // Narrower than this, libtorch's product is slower by more than further sums cost; and where its width is no multiple of its registers.
    private const long NarrowestTile = 256, RowMultiple = 32;

    private long TileElements => DevicePlace.Of(Data[0]).IsHost ? ThreadElements * Math.Clamp(get_num_threads(), 1, MostThreads) : ElementsOfDevice;

    public override long RowsPerTile => RowsOfPiece(TileElements / Math.Max(1, InFeatures));

    /// <summary>What the kernels of devices need to know of it; null for a form that none of them reads.</summary>
    internal virtual EncodedForm? Encoded => null;

    /// <summary>What the first column and the number of columns of a tile are multiples of; it divides the width.</summary>
    protected virtual long ColumnMultiple => 1;

    /// <summary>Some rows and columns of W, a new tensor (rows, columns) in <see cref="LinearWeight.Dtype"/>.</summary>
    protected abstract Tensor Tile(RowRange rows, RowRange columns);

    public sealed override Tensor Rows(long start, long count) => Tile(new(start, count), new(0, InFeatures));

    public override Tensor Product(Tensor input, Tensor? bias) => DeviceProduct(input, bias) ?? base.Product(input, bias);

    internal sealed override void AddProduct(Tensor output, Tensor input)
    {
        if (!TryOnDevice([output, input], (kernel, m, form) => kernel.TryProduct(m[0], m[1], form, adds: true))) base.AddProduct(output, input);
    }

    internal sealed override void AddInputGradient(Tensor inputGradient, Tensor gradOutput)
    {
        if (!TryOnDevice([inputGradient, gradOutput], (kernel, m, form) => kernel.TryInputGradient(m[0], m[1], form, adds: true))) base.AddInputGradient(inputGradient, gradOutput);
    }

    /// <summary>x Wᵀ + b by the kernels of a device; null where these do not make it.</summary>
    protected Tensor? DeviceProduct(Tensor input, Tensor? bias)
    {
        if (!HasDeviceKernels || (bias is not null && bias.dtype != Dtype)) return null;
        using var scope = NewDisposeScope();
        var output = empty(input.size(0), OutFeatures, dtype: Dtype, device: input.device);
        if (bias is not null) output.copy_(bias.detach());
        return TryOnDevice([output, input], (kernel, m, form) => kernel.TryProduct(m[0], m[1], form, adds: bias is not null)) ? output.MoveToOuterDisposeScope() : null;
    }

    /// <summary>Rows and columns of W by the kernels of a device; null where these do not make it.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="numbers">The rows, where they do not follow each other.</param>
    /// <param name="count">How many rows.</param>
    /// <param name="columns">The columns.</param>
    protected Tensor? DeviceRows(long first, long[]? numbers, long count, RowRange columns)
    {
        if (!HasDeviceKernels) return null;
        using var scope = NewDisposeScope();
        var rows = empty(count, columns.Count, dtype: Dtype, device: Device);
        Tensor[] operands = numbers is null ? [rows] : [rows, tensor(numbers, device: rows.device)];
        return TryOnDevice(operands, (kernel, m, form) => kernel.TryWrite(m[0], form, (first, columns.Start), m.Length > 1 ? m[1] : default)) ? rows.MoveToOuterDisposeScope() : null;
    }

    private bool HasDeviceKernels => KernelRegistry.For<IEncodedProduct>(InFeatures, Data[0]).Length > 0;

    private delegate bool OnDevice(IEncodedProduct kernel, ReadOnlySpan<CompilerServices.KernelMatrix> operands, EncodedForm form);

    private bool TryOnDevice(ReadOnlySpan<Tensor> operands, OnDevice launch) =>
        HasDeviceKernels && Encoded is { } form && DevicePlace.Of(form.Codes) == DevicePlace.Of(operands[0]) && KernelRegistry.TryRun<IEncodedProduct>(InFeatures, operands, (kernel, m) => launch(kernel, m, form));

    // By columns, so that each column of the result is one product, rounded once.
    public sealed override Tensor InputGradient(Tensor gradOutput)
    {
        using var scope = NewDisposeScope();
        if (HasDeviceKernels)
        {
            var whole = empty(gradOutput.size(0), InFeatures, dtype: Dtype, device: gradOutput.device);
            if (TryOnDevice([whole, gradOutput], (kernel, m, form) => kernel.TryInputGradient(m[0], m[1], form, adds: false))) return whole.MoveToOuterDisposeScope();
        }

        var elements = TileElements;
        var rows = RowsOfPiece(elements / NarrowestTile);
        var columns = Math.Min(InFeatures, Math.Max(ColumnMultiple, Math.Max(NarrowestTile, elements / rows) / ColumnMultiple * ColumnMultiple));
        rows = RowsOfPiece(Math.Min(rows, elements / columns));
        if (rows == OutFeatures && columns == InFeatures) return gradOutput.mm(Rows(0, rows)).MoveToOuterDisposeScope();
        var isWhole = rows == OutFeatures;
        var gradient = isWhole ? empty(gradOutput.size(0), InFeatures, dtype: Dtype, device: gradOutput.device) : zeros(gradOutput.size(0), InFeatures, dtype: Accumulator, device: gradOutput.device);
        foreach (var down in RowRange.Pieces(OutFeatures, rows))
        {
            using var piece = NewDisposeScope();
            // A product lays its operand out side by side: once, and not for each tile.
            var some = down.ColumnsOf(gradOutput).contiguous();
            foreach (var across in RowRange.Pieces(InFeatures, columns))
            {
                using var part = NewDisposeScope();
                var product = some.mm(Tile(down, across));
                if (isWhole) across.ColumnsOf(gradient).copy_(product);
                else across.ColumnsOf(gradient).add_(product, Concurrency.Scalars.One);
            }
        }

        return gradient.to(Dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Rows of pieces of about equal size.</summary>
    /// <param name="most">The most rows of one.</param>
    private long RowsOfPiece(long most)
    {
        if (most >= OutFeatures) return OutFeatures;
        var multiple = most < RowMultiple ? 1 : RowMultiple;
        most = Math.Max(1, most / multiple * multiple);
        var pieces = (OutFeatures + most - 1) / most;
        return (((OutFeatures + pieces - 1) / pieces) + multiple - 1) / multiple * multiple;
    }

    private ScalarType Accumulator => ShardOperations.Accumulator(Dtype);
}
