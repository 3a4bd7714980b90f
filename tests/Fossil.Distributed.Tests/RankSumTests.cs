namespace Fossil.Distributed.Tests;

public sealed unsafe class RankSumTests
{
    /// <summary>(1 + 2⁻²⁴) + 2⁻²⁴ is 1, the other way round it is more.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    public void Rows_are_added_in_the_order_of_the_ranks(int length)
    {
        var small = MathF.Pow(2, -24);
        float[] rows = [.. Enumerable.Repeat(1f, length), .. Enumerable.Repeat(small, 2 * length)];
        float[] other = [.. Enumerable.Repeat(small, 2 * length), .. Enumerable.Repeat(1f, length)];
        var sum = new float[length];
        fixed (float* from = rows, to = sum) RankSum.Sum(from, length, 3, to);
        Assert.All(sum, value => Assert.Equal(1f, value));
        fixed (float* from = other, to = sum) RankSum.Sum(from, length, 3, to);
        Assert.All(sum, value => Assert.Equal(MathF.BitIncrement(1f), value));
    }

    [Fact]
    public void Where_no_rank_has_a_gradient_the_sum_shows_it()
    {
        float[] rows = [-0f, -0f, 0f, -0f];
        var sum = new float[2];
        fixed (float* from = rows, to = sum) RankSum.Sum(from, 2, 2, to);
        Assert.False(float.IsNegative(sum[0]));
        Assert.True(float.IsNegative(sum[1]));
        var (narrow, lost) = (new ushort[1], new float[1]);
        RankSum.Narrow([-0f], lost, narrow);
        Assert.Equal(0x8000, narrow[0]);
    }

    [Theory]
    [InlineData(1f, 0x3F80)]
    [InlineData(1.00390625f, 0x3F80)]
    [InlineData(1.01171875f, 0x3F82)]
    [InlineData(float.PositiveInfinity, 0x7F80)]
    [InlineData(float.NegativeInfinity, 0xFF80)]
    [InlineData(float.NaN, 0xFFC0)]
    [InlineData(-3.3e38f, 0xFF78)]
    public void bfloat16_is_rounded_to_the_nearest(float value, int bits)
    {
        var (narrow, lost) = (new ushort[1], new float[1]);
        RankSum.Narrow([value], lost, narrow);
        Assert.Equal(bits, narrow[0]);
    }

    [Fact]
    public void What_rounding_loses_is_made_up_for()
    {
        var (narrow, lost, wide) = (new ushort[40], new float[40], new float[40]);
        var sum = 0.0;
        for (var step = 0; step < 1000; step++)
        {
            RankSum.Narrow([.. Enumerable.Repeat(1.001f, 40)], lost, narrow);
            RankSum.Widen(narrow, wide);
            Assert.All(wide, value => Assert.Equal(wide[0], value));
            sum += wide[39];
        }

        Assert.Equal(1001, sum, 0.01);
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(4, 3)]
    [InlineData(1000, 7)]
    [InlineData(4 << 20, 1024)]
    public void Slices_cover_everything_once(int bytes, int count)
    {
        var slices = Slices.Of(bytes, count);
        for (var rank = 0; rank < count; rank++)
        {
            Assert.Equal(rank == 0 ? 0 : slices.Starts[rank - 1] + slices.Lengths[rank - 1], slices.Starts[rank]);
            Assert.True(slices.Starts[rank] % 64 == 0 || slices.Lengths[rank] == 0);
        }

        Assert.Equal(bytes, slices.Starts[^1] + slices.Lengths[^1]);
    }
}
