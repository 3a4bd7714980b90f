using Fossil.CompilerServices;

namespace Fossil.Cuda;

/// <summary>
/// The launch stubs of the decoders' kernels for an element type: kernel, grid, block and arguments for operands without gaps. They touch neither tensors nor the device. What they reckon with is in
/// the head of the source too (<see cref="CudaDecoderSource"/>).
/// </summary>
/// <param name="element">The element type.</param>
internal sealed class CudaDecoderLaunches(CudaElement element)
{
    private const int Warp = 32, RowsOfSlice = 64, BlocksOfMultiprocessor = 2;

    private readonly int lanes = CudaDecoderSource.Lanes(element);

    /// <summary>Whether operands are within what the kernels count with 32 bits, columns, and within the grid's limits, rows.</summary>
    public static bool Takes(long rows, long columns) => rows is > 0 and <= int.MaxValue && columns is > 0 and <= 1 << 30;

    /// <summary>y = x s w.</summary>
    /// <param name="x">(rows, columns).</param>
    /// <param name="weight">w (columns).</param>
    /// <param name="y">As x; written.</param>
    /// <param name="scales">s (rows), float32; written.</param>
    /// <param name="eps">What is added to the mean of the squares.</param>
    public CudaLaunch RmsNorm(in CudaMatrix x, nint weight, nint y, nint scales, float eps) => Rows("rms_norm", x.Rows, x.Columns / lanes / CudaDecoderSource.VectorsKept, x.Address, weight, y, scales, x.Rows, (int)x.Columns, eps);

    /// <summary>dx = s (dy w − x s² mean(dy w x)).</summary>
    /// <param name="x">(rows, columns).</param>
    /// <param name="weight">w (columns).</param>
    /// <param name="dy">The gradient of y, as x.</param>
    /// <param name="dx">As x; written.</param>
    /// <param name="scales">s (rows), float32.</param>
    public CudaLaunch RmsNormInputGradient(in CudaMatrix x, nint weight, nint dy, nint dx, nint scales) =>
        Rows("rms_norm_input_gradient", x.Rows, x.Columns / lanes / (CudaDecoderSource.VectorsKept / 2), x.Address, weight, dy, dx, scales, x.Rows, (int)x.Columns);

    /// <summary>How the rows of <see cref="RmsNormWeightGradient"/> are shared out: blocks along the columns, and blocks that share these.</summary>
    public (int Tiles, int Slices) SplitOfWeightGradient(in CudaMatrix x, int multiprocessors)
    {
        var tiles = (int)Blocks(x.Columns, Warp * lanes);
        return (tiles, (int)Math.Clamp(Math.Min(multiprocessors * BlocksOfMultiprocessor / tiles, Blocks(x.Rows, RowsOfSlice)), 1, ushort.MaxValue));
    }

    /// <summary>dw = Σ dy x s.</summary>
    /// <param name="x">(rows, columns).</param>
    /// <param name="dy">As x.</param>
    /// <param name="scales">s (rows), float32.</param>
    /// <param name="dw">(columns); written.</param>
    /// <param name="split">Of <see cref="SplitOfWeightGradient"/>.</param>
    /// <param name="parts">Where there are several slices: a float of scratch for each of them and each column.</param>
    /// <param name="counters">Likewise: a zero for each tile; zero again behind the launch.</param>
    public static CudaLaunch RmsNormWeightGradient(in CudaMatrix x, nint dy, nint scales, nint dw, (int Tiles, int Slices) split, nint parts, nint counters) =>
        new("rms_norm_weight_gradient", ((uint)split.Tiles, (uint)split.Slices), (CudaDecoderSource.Threads, 1), x.Address, dy, scales, dw, x.Rows, (int)x.Columns, parts, counters);

    /// <summary>Heads turned by their positions' angles, each written <paramref name="repeat"/> times.</summary>
    /// <param name="heads">(rows, heads · size).</param>
    /// <param name="output">(rows, heads · repeat · size); written. The heads themselves where nothing is repeated, if they are to be turned in place.</param>
    /// <param name="cos">(positions, size), float32; no rows for no rotation.</param>
    /// <param name="sin">As the cosines.</param>
    /// <param name="size">head_dim.</param>
    /// <param name="repeat">As said.</param>
    public CudaLaunch Rotary(in CudaMatrix heads, nint output, in CudaMatrix cos, nint sin, int size, int repeat) => Rotation("rotary", heads, heads.Address, output, cos, sin, size, repeat);

    /// <summary>The sum over the repetitions, turned back.</summary>
    /// <param name="dy">(rows, heads · repeat · size).</param>
    /// <param name="dx">(rows, heads · size); written. <paramref name="dy"/> itself where nothing is repeated, if it is to be turned in place.</param>
    /// <param name="cos">As in <see cref="Rotary"/>.</param>
    /// <param name="sin">Likewise.</param>
    /// <param name="size">head_dim.</param>
    /// <param name="repeat">How often each head was repeated.</param>
    public CudaLaunch RotaryBackward(nint dy, in CudaMatrix dx, in CudaMatrix cos, nint sin, int size, int repeat) => Rotation("rotary_backward", dx, dy, dx.Address, cos, sin, size, repeat);

    /// <summary>y = act(gate) · up, each of <paramref name="count"/> elements; act is <c>silu</c> or <c>gelu</c>.</summary>
    public CudaLaunch Gate(string activation, nint gate, nint up, nint y, long count) => Vectors($"{activation}_gate", count, gate, up, y, count);

    /// <summary>The gradients of both.</summary>
    public CudaLaunch GateBackward(string activation, nint gate, nint up, nint dy, nint gateGradient, nint upGradient, long count) => Vectors($"{activation}_gate_backward", count, gate, up, dy, gateGradient, upGradient, count);

    /// <summary>The cross-entropy of rows of logits.</summary>
    /// <param name="logits">(rows, vocabulary); replaced by scale · (softmax − one-hot) where <paramref name="withGradient"/> says so.</param>
    /// <param name="targets">A token id for each row, int64; one that is negative does not count.</param>
    /// <param name="losses">(rows), float32; written.</param>
    /// <param name="withGradient">As said.</param>
    /// <param name="scale">As said.</param>
    public static CudaLaunch CrossEntropy(in CudaMatrix logits, in CudaMatrix targets, nint losses, bool withGradient, float scale) => new(
        "cross_entropy", ((uint)logits.Rows, 1), (CudaDecoderSource.Threads, 1), logits.Address, logits.RowStride, targets.Address, targets.RowStride, losses, (int)logits.Columns, withGradient ? 1 : 0, scale);

    private static long Blocks(long count, int ofBlock) => (count + ofBlock - 1) / ofBlock;

    /// <summary>At least as many threads for a row as are wanted, if a block has so many.</summary>
    private static CudaLaunch Rows(string kernel, long rows, long wanted, params CudaArgument[] arguments)
    {
        var threads = Warp;
        while (threads < CudaDecoderSource.Threads && threads < wanted) threads *= 2;
        var rowsOfBlock = CudaDecoderSource.Threads / threads;
        return new(kernel, ((uint)Blocks(rows, rowsOfBlock), 1), ((uint)threads, (uint)rowsOfBlock), arguments);
    }

    private CudaLaunch Rotation(string kernel, in CudaMatrix narrow, nint from, nint to, in CudaMatrix cos, nint sin, int size, int repeat) =>
        Rows(kernel, narrow.Rows, narrow.Columns / 2 / lanes, from, to, cos.Address, sin, cos.Rows, narrow.Rows, (int)narrow.Columns, size, repeat);

    private CudaLaunch Vectors(string kernel, long count, params CudaArgument[] arguments) => new(kernel, ((uint)Blocks(count, CudaDecoderSource.Threads * lanes), 1), (CudaDecoderSource.Threads, 1), arguments);
}
