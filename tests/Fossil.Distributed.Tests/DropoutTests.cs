using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>Each row of a batch has its own mask, wherever the row is computed.</summary>
public sealed class DropoutTests
{
    [Theory]
    [InlineData(new long[] { 6, 5, 7 })]
    [InlineData(new long[] { 30, 7 })]
    public void A_row_has_its_mask_in_any_part_of_the_batch_and_with_any_padding(long[] shape)
    {
        var whole = Mask(0, 6, shape);
        var rowElements = whole.Length / 6;
        for (var first = 0; first < 6; first += 2)
        {
            long[] part = [shape[0] / 3, .. shape[1..]];
            Assert.Equal(whole.AsSpan(first * rowElements, 2 * rowElements).ToArray(), Mask(first, 2, part));
        }

        var longer = Mask(0, 6, [6, 9, 7]);
        for (var row = 0; row < 6; row++) Assert.Equal(whole.AsSpan(row * rowElements, rowElements).ToArray(), longer.AsSpan(row * 63, rowElements).ToArray());
    }

    [Fact]
    public void Rows_layers_steps_batches_and_calls_have_different_ones()
    {
        using var module = nn.Linear(1, 1);
        using var x = ones(2, 200);
        var masks = new List<string>();
        foreach (var (step, batch, layer) in new[] { (0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b") })
        {
            using var rows = DropoutRows.Use(3, step, batch, 0, 2);
            for (var call = 0; call < 2; call++)
            {
                using var mask = DropoutMask.Draw(0.5, module, layer).For(x);
                masks.AddRange(mask.data<bool>().ToArray().Chunk(200).Select(row => string.Concat(row.Select(kept => kept ? '1' : '0'))));
            }
        }

        Assert.Equal(16, masks.Distinct().Count());
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.9)]
    public void As_many_elements_are_dropped_as_are_to_be(double probability)
    {
        using var x = ones(8, 100_000);
        using var mask = new DropoutMask(probability, 12345).For(x);
        foreach (var row in mask.data<bool>().ToArray().Chunk(100_000)) Assert.Equal(probability, row.Count(kept => !kept) / 100_000.0, 0.006);
    }

    /// <summary>The kernel's threads, its vectors and what is left behind them; and libtorch, which computes the same numbers on other devices.</summary>
    [Theory]
    [InlineData(1, 1003)]
    [InlineData(3, 20_001)]
    [InlineData(40_000, 31)]
    public void libtorch_draws_the_same(int count, int columns)
    {
        var numbers = new Random(3);
        DropoutRow[] rows = [.. Enumerable.Range(0, count).Select(_ => new DropoutRow((uint)numbers.NextInt64(), (uint)numbers.NextInt64(), (uint)numbers.NextInt64()))];
        using var ours = empty(count, columns, dtype: ScalarType.Bool);
        using var theirs = empty(count, columns, dtype: ScalarType.Bool);
        Assert.True(KernelRegistry.TryRun<IDropoutMask>(columns, [ours], (kernel, operands) => kernel.TryFill(operands[0], rows, 1_288_490_188)));
        DropoutMask.Draw(theirs, rows, 1_288_490_188);
        Assert.True(ours.eq(theirs).all().item<bool>());
    }

    /// <summary>Numbers of before this was a kernel.</summary>
    [Fact]
    public void Masks_stay_the_same_from_version_to_version()
    {
        using var x = ones(2, 64);
        using var mask = new DropoutMask(0.3, 77, FirstRow: 5).For(x);
        Assert.Equal("736FFEF37F65DABB6723F7CFAF56AB8F", string.Concat(mask.data<bool>().ToArray().Chunk(4).Select(bits => $"{(bits[0] ? 8 : 0) + (bits[1] ? 4 : 0) + (bits[2] ? 2 : 0) + (bits[3] ? 1 : 0):X}")));
    }

    /// <summary>A token has the mask that it has as a part of its row, whichever others a layer sees with it.</summary>
    [Fact]
    public void Some_tokens_have_the_masks_that_they_have_among_all()
    {
        const int Row = 5, Features = 7;
        using var module = nn.Linear(1, 1);
        long[] tokens = [2, 3, 11, 29];
        var whole = Mask(10, 6, [6, Row, Features]).Chunk(Features).ToArray();
        using var rows = DropoutRows.Use(3, 1, 0, 10, 6);
        using var seen = DropoutTokens.See(tokens, Row);
        using var x = ones(tokens.Length, Features);
        using var mask = DropoutMask.Draw(0.4, module, "model.layers.0.q_proj").For(x);
        Assert.Equal(tokens.SelectMany(token => whole[token]), mask.data<bool>().ToArray());
    }

    [Fact]
    public void Activations_that_are_computed_again_have_the_same_masks()
    {
        using var model = new TinyModel();
        using var adapted = model.Attach(new FossilConfig { TargetModules = ["up", "mid", "head"], ShardSize = 8, Dropout = 0.5 });
        using var noise = new Generator(3);
        using (no_grad())
        {
            foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.copy_(randn(parameter.shape, generator: noise));
        }

        using var ids = arange(24, dtype: ScalarType.Int64).reshape(4, 6);
        var gradients = new List<float[]>();
        foreach (var isAgain in new[] { false, true })
        {
            using var rows = DropoutRows.Use(1, 0, 0, 0, 4);
            var output = isAgain ? Training.ActivationCheckpoint.Run((input, _) => model.forward(input), ids) : model.forward(ids);
            _ = model.forward(ids);
            output.pow(2).sum().backward();
            gradients.Add([.. adapted.TrainableParameters().SelectMany(named => named.Parameter.grad!.flatten().data<float>().ToArray())]);
            foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.grad = null;
        }

        Assert.Equal(gradients[0], gradients[1]);
        Assert.Contains(gradients[0], value => value != 0);
    }

    private static bool[] Mask(long first, long count, long[] shape)
    {
        using var module = nn.Linear(1, 1);
        using var x = ones(shape);
        using var rows = DropoutRows.Use(3, 1, 0, first, count);
        using var mask = DropoutMask.Draw(0.4, module, "model.layers.0.q_proj").For(x);
        return mask.data<bool>().ToArray();
    }
}
