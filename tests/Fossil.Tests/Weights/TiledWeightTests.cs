using Fossil.Adapters;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Tests.Weights;

/// <summary>What is written out of an encoded weight: a tile at a time, each element once for a product, and nothing that stays.</summary>
public class TiledWeightTests
{
    // 2 MB of float32 a thread: the limit of what a product may hold beside its operands.
    private const long LargestTile = 1 << 19;

    [Theory]
    [InlineData(3000, 700, 1, 1)]
    [InlineData(700, 3000, 8, 1)]
    [InlineData(9000, 64, 32, 1)]
    [InlineData(300, 700, 1, 1)]
    [InlineData(3000, 700, 1, 2)]
    [InlineData(5632, 512, 256, 2)]
    [InlineData(70, 60000, 32, 2)]
    public void A_product_and_its_gradient_write_each_element_out_once_and_hold_one_tile_a_thread(long rows, long columns, long multiple, int threads)
    {
        using var scope = NewDisposeScope();
        var before = get_num_threads();
        set_num_threads(threads);
        try
        {
            Check(rows, columns, multiple, threads);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    private static void Check(long rows, long columns, long multiple, int threads)
    {
        var tiles = new Tiles();
        var weight = new Probe(ones(rows, columns, ScalarType.Int8), tiles, multiple);
        var input = randn(20, columns).requires_grad_();
        var output = weight.Apply(input);
        Assert.Equal(rows * columns, tiles.Elements);
        Assert.InRange(tiles.Largest, 1, LargestTile * threads);

        tiles.Elements = 0;
        output.sum().backward();
        Assert.Equal(rows * columns, tiles.Elements);
        Assert.InRange(tiles.Largest, 1, LargestTile * threads);
        Assert.False(tiles.LeftOne);
        Assert.True(input.grad!.allclose(ones(20, columns) * rows, rtol: 1e-4));
        Assert.True(tiles.Last!.IsInvalid);
    }

    private sealed class Tiles
    {
        public long Elements { get; set; }

        public long Largest { get; set; }

        public bool LeftOne { get; set; }

        public Tensor? Last { get; set; }
    }

    private sealed class Probe(Tensor values, Tiles tiles, long multiple) : TiledWeight
    {
        public override long OutFeatures => values.shape[0];

        public override long InFeatures => values.shape[1];

        public override ScalarType Dtype => ScalarType.Float32;

        public override IReadOnlyList<Tensor> Data => [values];

        protected override long ColumnMultiple => multiple;

        public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new Probe(data[0], tiles, multiple);

        protected override Tensor Tile(RowRange rows, RowRange columns)
        {
            Assert.Equal(0, columns.Start % multiple);
            tiles.LeftOne |= tiles.Last is { IsInvalid: false };
            tiles.Elements += rows.Count * columns.Count;
            tiles.Largest = Math.Max(tiles.Largest, rows.Count * columns.Count);
            return tiles.Last = columns.ColumnsOf(rows.Of(values)).to(ScalarType.Float32, copy: true);
        }
    }
}
