using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Attention with products of blocks of bfloat16 against the same with products in float32: it differs by what P and dS lose where they are rounded, and by nothing else.</summary>
public sealed class AttentionBlocksTests
{
    // A bfloat16 has eight bits.
    private const double Rounding = 1.0 / 256;

    [SkippableTheory]
    [InlineData(2, 128, 9, 3, 64)] // SmolLM2
    [InlineData(1, 70, 4, 1, 128)] // one key-value head, whose group is cut into pieces
    [InlineData(3, 1, 4, 4, 32)] // a single token
    [InlineData(1, 257, 6, 2, 96)]
    [InlineData(2, 33, 2, 1, 256)]
    [InlineData(1, 31, 2, 2, 160)]
    [InlineData(2, 150, 4, 2, 64, 40)] // a sliding window, and padding
    [InlineData(1, 97, 2, 1, 32, 1)]
    public void Differs_from_products_in_float32_by_the_rounding_of_factors(long batch, long tokens, long heads, long keyValueHeads, long size, long window = 0)
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no products of bfloat16.");
        using var scope = NewDisposeScope();
        var starts = window == 0 ? null : Starts(batch, tokens, window);
        var operands = new Operands(batch, tokens, heads, keyValueHeads, size, starts);
        var (blocks, exact) = (operands.Run(inBlocks: true), operands.Run(inBlocks: false));

        // A sum in another order may round a probability or an output the other way, seldom.
        Assert.InRange((blocks[0] != exact[0]).sum().item<long>(), 0, blocks[0].numel() / 200);
        var bounds = operands.GradientBounds(starts);
        for (var i = 0; i < 3; i++)
        {
            var (actual, expected) = (blocks[i + 1].to(float64), exact[i + 1].to(float64));
            var excess = (actual - expected).abs() - 1.02 * Rounding * (bounds[i] + 2 * expected.abs()) - 1e-6;
            Assert.True(excess.max().item<double>() <= 0, $"gradient {i} of {(batch, tokens, heads, keyValueHeads, size, window)} is {excess.max().item<double>()} over its bound.");
        }
    }

    [SkippableTheory, InlineData(128), InlineData(77)]
    public void Comes_out_the_same_on_any_number_of_threads(long tokens)
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no products of bfloat16.");
        using var scope = NewDisposeScope();
        var operands = new Operands(2, tokens, 6, 2, 64, null);
        var before = get_num_threads();
        try
        {
            set_num_threads(1);
            var one = operands.Run(inBlocks: true);
            set_num_threads(2);
            foreach (var (result, other) in one.Zip(operands.Run(inBlocks: true))) Assert.True(result.equal(other).all().item<bool>());
        }
        finally
        {
            set_num_threads(before);
        }
    }

    /// <summary>Rows behind the last token lie in memory that was another sequence's.</summary>
    [SkippableFact]
    public void What_is_not_a_number_stays_in_its_sequence()
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no products of bfloat16.");
        using var scope = NewDisposeScope();
        var operands = new Operands(2, 45, 4, 2, 64, null);
        var whole = operands.Run(inBlocks: true);
        operands.Queries[0, 40, 1] = double.NaN;
        operands.Gradient[0, 44, 70] = double.NaN;
        var broken = operands.Run(inBlocks: true);
        Assert.True(broken[0].view(2, 45, 4, 64)[0, 40, 1].isnan().all().item<bool>());
        foreach (var (result, expected) in broken.Zip(whole))
        {
            Assert.True(result[0].isnan().any().item<bool>());
            Assert.True(result[1].equal(expected[1]).all().item<bool>());
        }
    }

    /// <summary>Windows, behind padding in front of every sequence but the first.</summary>
    private static Tensor Starts(long batch, long tokens, long window)
    {
        var first = (arange(tokens, dtype: int64) - window + 1).clamp(min: 0).expand(batch, tokens).clone();
        for (var sequence = 1L; sequence < batch; sequence++) first[sequence].clamp_(min: 50 * sequence);
        return first;
    }

    private sealed class Operands(long batch, long tokens, long heads, long keyValueHeads, long size, Tensor? starts)
    {
        public Tensor Queries { get; } = randn(batch, tokens, heads, size).bfloat16();

        public Tensor Gradient { get; } = randn(batch, tokens, heads * size).bfloat16();

        private Tensor Keys { get; } = randn(batch, tokens, keyValueHeads, size).bfloat16();

        private Tensor Values { get; } = randn(batch, tokens, keyValueHeads, size).bfloat16();

        /// <summary>Output and gradients of queries, keys and values, without a rotation.</summary>
        public Tensor[] Run(bool inBlocks)
        {
            var kernel = new AttentionKernel<ushort>(inBlocks);
            var normalizers = empty(batch * heads, tokens);
            var inputs = new AttentionInputs(batch, tokens, heads, keyValueHeads, size, Rows(Queries), Rows(Keys), Rows(Values), default, default, starts is null ? default : KernelMatrix.Of(starts), KernelMatrix.Of(normalizers));
            Tensor[] results = [empty_like(Gradient), empty_like(Queries), empty_like(Keys), empty_like(Values)];
            kernel.Forward(inputs, KernelMatrix.Of(results[0], heads * size));
            kernel.Backward(inputs, KernelMatrix.Of(Gradient, heads * size), Rows(results[1]), Rows(results[2]), Rows(results[3]));
            return results;
        }

        /// <summary>In float64 |dS| |K|, |dS|ᵀ |Q| and Pᵀ |dO|: what the gradients may lose by relative errors of P and dS.</summary>
        public Tensor[] GradientBounds(Tensor? starts)
        {
            var group = heads / keyValueHeads;
            var (q, k, v, dy) = (Heads(Queries), Heads(Keys).repeat_interleave(group, dim: 1), Heads(Values).repeat_interleave(group, dim: 1), Heads(Gradient.view(batch, tokens, heads, size)));
            var (scale, positions) = (1 / Math.Sqrt(size), arange(tokens, dtype: int64));
            var first = (starts ?? zeros(batch, tokens, dtype: int64)).minimum(positions).view(batch, 1, tokens, 1);
            var hidden = positions.gt(positions.view(tokens, 1)).logical_or(positions.lt(first));
            var p = (q.matmul(k.transpose(2, 3)) * scale).masked_fill(hidden, double.NegativeInfinity).softmax(-1);
            var dp = dy.matmul(v.transpose(2, 3));
            var ds = (p * (dp - (p * dp).sum(-1, keepdim: true))).abs() * scale;
            return [ds.matmul(k.abs()).transpose(1, 2), Grouped(ds.transpose(2, 3).matmul(q.abs())), Grouped(p.transpose(2, 3).matmul(dy.abs()))];

            Tensor Grouped(Tensor x) => x.view(batch, keyValueHeads, group, tokens, size).sum(2).transpose(1, 2);
        }

        private static Tensor Heads(Tensor x) => x.to(float64).transpose(1, 2);

        private static KernelMatrix Rows(Tensor x) => KernelMatrix.Of(x, x.size(2) * x.size(3));
    }
}
