using Fossil.CompilerServices;

namespace Fossil.Kernels.OneRow;

/// <summary>Layers that read the same row, in one launch: threads claim pieces of all their outputs.</summary>
internal static unsafe class RowLaunch
{
    // A piece is long enough for a processor to read ahead in it, and there are enough of them for all threads to end together.
    private const int RowsOfPiece = 32, FewestRowsOfPiece = 8, PiecesOfThread = 4;

    /// <summary>Floats of memory that <see cref="Run"/> takes beside the outputs.</summary>
    public static long ScratchFloats(ReadOnlySpan<LayerRow> layers)
    {
        var count = Aligned(RowInput.FloatsOfCodes(layers[0].InFeatures));
        foreach (var layer in layers) count += Aligned(layer.PreparedFloats);
        return count;
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

        var rows = RowsOfPiece;
        while (rows > FewestRowsOfPiece && total / rows < PiecesOfThread * Environment.ProcessorCount) rows /= 2;
        var pieces = 0L;
        foreach (var layer in layers) pieces += Pieces(layer, rows);
        KernelRows.Run(pieces, rows * width, new Kernel(layers, rows, row, outputs));
        foreach (var layer in layers) layer.KeepAlive();
    }

    private static long Pieces(LayerRow layer, long rows) => (layer.OutFeatures + rows - 1) / rows;

    private static long Aligned(long floats) => (floats + 15) & ~15;

    /// <summary>Its "rows" are pieces of the outputs.</summary>
    private readonly struct Kernel(LayerRow[] layers, long rows, RowInput input, float* outputs) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var piece = first; piece < end; piece++)
            {
                var layer = Find(piece, out var start, out var stop, out var output);
                layer.Run(input, start, stop, output);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            Find(row, out var start, out var stop, out var output);
            writes.Add(output, stop - start);
        }

        /// <summary>The layer of a piece, and which of its elements it is.</summary>
        private LayerRow Find(long piece, out long start, out long stop, out float* output)
        {
            output = outputs;
            foreach (var layer in layers)
            {
                if (piece < Pieces(layer, rows))
                {
                    start = piece * rows;
                    stop = Math.Min(start + rows, layer.OutFeatures);
                    output += start;
                    return layer;
                }

                piece -= Pieces(layer, rows);
                output += layer.OutFeatures;
            }

            throw new ArgumentOutOfRangeException(nameof(piece));
        }
    }
}
