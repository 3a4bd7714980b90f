using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.OneRow;

/// <summary>Layers that read the same row, in one launch: threads claim pieces of all their outputs.</summary>
internal static unsafe class RowLaunch
{
    // Rows of a cache line of outputs, which two threads must not share.
    private const int RowsOfLine = 16;

    // Elements of a long piece: several of them for a thread whose core others use too.
    private const long ElementsOfPiece = 1 << 21;

    /// <summary>Floats of memory that <see cref="Run"/> takes beside the outputs.</summary>
    public static long ScratchFloats(ReadOnlySpan<LayerRow> layers)
    {
        var count = Aligned(RowInput.FloatsOfCodes(layers[0].InFeatures));
        foreach (var layer in layers) count += Aligned(layer.PreparedFloats);
        return count;
    }

    /// <summary>
    /// Rows of W that a thread takes at once: its whole share of a product that is not long, one behind the other. A processor reads ahead of where it is; where threads take short pieces in turns, each of them reads ahead what
    /// another one needs, and both together read no faster than one alone.
    /// </summary>
    /// <param name="total">Rows of W.</param>
    /// <param name="width">Elements of a row.</param>
    public static long RowsOfPiece(long total, long width)
    {
        var threads = Math.Min(get_num_threads(), Environment.ProcessorCount);
        var share = (total + threads - 1) / threads;
        // As many pieces for each thread.
        var pieces = Math.Max(1, share * width / ElementsOfPiece);
        var rows = (share + pieces - 1) / pieces;
        return (rows + RowsOfLine - 1) / RowsOfLine * RowsOfLine;
    }

    /// <summary>The outputs of the layers, one behind the other.</summary>
    /// <param name="layers">The layers, of one width.</param>
    /// <param name="input">x.</param>
    /// <param name="outputs">Receives them.</param>
    /// <param name="scratch">Room for <see cref="ScratchFloats"/>, aligned to a cache line.</param>
    public static void Run(LayerRow[] layers, float* input, float* outputs, float* scratch)
    {
        var width = layers[0].InFeatures;
        var row = Array.Exists(layers, layer => layer.ReadsCodes) ? RowInput.Quantise(input, width, scratch) : RowInput.Of(input);
        scratch += Aligned(RowInput.FloatsOfCodes(width));
        long total = 0;
        foreach (var layer in layers)
        {
            layer.Prepare(input, scratch);
            scratch += Aligned(layer.PreparedFloats);
            total += layer.OutFeatures;
        }

        var rows = RowsOfPiece(total, width);
        KernelRows.Run((total + rows - 1) / rows, rows * width, new Kernel(layers, total, rows, row, outputs));
        foreach (var layer in layers) layer.KeepAlive();
    }

    private static long Aligned(long floats) => (floats + 15) & ~15;

    /// <summary>Its "rows" are pieces of the outputs, which may belong to several layers.</summary>
    private readonly struct Kernel(LayerRow[] layers, long total, long rows, RowInput input, float* outputs) : IRowKernel
    {
        public void Run(long first, long end)
        {
            var (start, stop, before) = (first * rows, Math.Min(end * rows, total), 0L);
            foreach (var layer in layers)
            {
                var (from, to) = (Math.Max(start - before, 0), Math.Min(stop - before, layer.OutFeatures));
                if (from < to) layer.Run(input, from, to, outputs + before + from);
                before += layer.OutFeatures;
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(outputs + (row * rows), Math.Min(rows, total - (row * rows)));
    }
}
