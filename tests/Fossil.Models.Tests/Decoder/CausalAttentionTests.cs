using Fossil.Models.Kernels;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>The fused attention against libtorch's in float64: outputs and all three gradients.</summary>
public sealed class CausalAttentionTests
{
    [SkippableTheory]
    [InlineData(2, 128, 9, 3, 64)] // SmolLM2
    [InlineData(1, 70, 4, 1, 128)] // one key-value head, whose group is cut into pieces
    [InlineData(3, 1, 4, 4, 32)] // a single token; heads narrower than a panel
    [InlineData(1, 257, 6, 2, 96)]
    public void Equals_libtorchs_attention_in_float64(long batch, long tokens, long heads, long keyValueHeads, long size)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (q, k, v) = (Random(batch, tokens, heads, size), Random(batch, tokens, keyValueHeads, size), Random(batch, tokens, keyValueHeads, size));
        Skip.IfNot(CausalAttentionCall.Fits(q), "This processor has no vectors of 512 bits.");
        var angles = Random(tokens, size / 2) * 6;
        var (cos, sin) = (cat([angles.cos(), angles.cos()], 1), cat([angles.sin(), angles.sin()], 1));
        var gradient = Random(batch, tokens, heads * size);

        var expected = Gradients([q, k, v], float64, gradient, inputs => Reference(inputs, cos, sin));
        var actual = Gradients([q, k, v], float32, gradient, inputs => CausalAttentionCall.Run(inputs[0], inputs[1], inputs[2], cos, sin));
        var rounded = Gradients([q, k, v], bfloat16, gradient, inputs => CausalAttentionCall.Run(inputs[0], inputs[1], inputs[2], cos, sin));
        var truthOfRounded = Gradients([q.bfloat16(), k.bfloat16(), v.bfloat16()], float64, gradient.bfloat16(), inputs => Reference(inputs, cos, sin));
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.InRange(Distance(actual[i], expected[i]), 0, 2e-6);
            // The turned queries and keys are rounded to bfloat16 as transformers' are, cos and sin before them, and the result once more.
            Assert.InRange(Distance(rounded[i], truthOfRounded[i]), 0, 1.0 / 128);
        }
    }

    /// <summary>Rotation, approximated exponential and rounded probabilities are libtorch's; what is left are sums in another order, which a rounding seldom shows.</summary>
    [SkippableFact]
    public void Values_in_bfloat16_are_those_of_libtorchs_attention()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(8, CPU);
        const long Tokens = 128, Size = 64;
        Tensor Random(long heads) => randn([2, Tokens, heads, Size], dtype: float32, generator: generator).bfloat16();
        var (q, k, v) = (Random(9), Random(3), Random(3));
        Skip.IfNot(CausalAttentionCall.Fits(q), "This processor has no vectors of 512 bits.");
        var angles = randn([Tokens, Size / 2], dtype: float32, generator: generator) * 6;
        var (cos, sin) = (cat([angles.cos(), angles.cos()], 1), cat([angles.sin(), angles.sin()], 1));

        var expected = Reference([q, k, v], cos, sin);
        var different = (CausalAttentionCall.Run(q, k, v, cos, sin) != expected).sum().item<long>();
        Assert.InRange(different, 0, expected.numel() / 1000);
    }

    /// <summary>The largest difference, relative to the largest value.</summary>
    private static double Distance(Tensor actual, Tensor expected) => ((actual.to(float64) - expected).abs().max() / expected.abs().max().clamp(min: 1)).item<double>();

    private static Tensor[] Gradients(Tensor[] values, ScalarType dtype, Tensor gradient, Func<Tensor[], Tensor> attention)
    {
        var inputs = values.Select(value => value.to(dtype).detach().clone().requires_grad_()).ToArray();
        var output = attention(inputs);
        output.backward([gradient.to(dtype)]);
        return [output.detach(), .. inputs.Select(input => input.grad!)];
    }

    /// <summary>The same by libtorch's attention; the angles' tables have a row for each token.</summary>
    internal static Tensor Reference(Tensor[] inputs, Tensor cos, Tensor sin)
    {
        var (q, k, v) = (inputs[0], inputs[1], inputs[2]);
        var (batch, tokens, heads, size) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        var y = nn.functional.scaled_dot_product_attention(Repeat(Turn(q)).transpose(1, 2), Repeat(Turn(k)).transpose(1, 2), Repeat(v).transpose(1, 2), is_casual: true);
        return y.transpose(1, 2).reshape(batch, tokens, heads * size);

        Tensor Turn(Tensor x)
        {
            var halves = x.chunk(2, dim: -1);
            long[] shape = [1, tokens, 1, size];
            return x * cos.to(x.dtype).view(shape) + cat([-halves[1], halves[0]], dim: -1) * sin.to(x.dtype).view(shape);
        }

        Tensor Repeat(Tensor x) => x.unsqueeze(3).expand(batch, tokens, x.shape[2], heads / x.shape[2], size).reshape(batch, tokens, heads, size);
    }
}
