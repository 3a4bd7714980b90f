using System.Runtime.Intrinsics;
using Fossil.Models.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>The fused operations against libtorch's own, in float64: values and gradients.</summary>
public sealed class FusedOperationTests
{
    public static TheoryData<ScalarType, double> Dtypes => new() { { ScalarType.Float32, 2e-6 }, { ScalarType.BFloat16, 8e-3 } };

    [Theory, MemberData(nameof(Dtypes))]
    public void Norm(ScalarType dtype, double tolerance) =>
        Compare(dtype, tolerance, x => RmsNormCall.Run(x[0], x[1], 1e-5), x => x[0] * (x[0].square().mean([-1], keepdim: true) + 1e-5).rsqrt() * x[1], [2, 7, 48], [48]);

    [Theory, MemberData(nameof(Dtypes))]
    public void Gated_feed_forward(ScalarType dtype, double tolerance) =>
        Compare(dtype, tolerance, x => GatedCall.Run(x[0], x[1]), x => nn.functional.silu(x[0]) * x[1], [3, 5, 32], [3, 5, 32]);

    [Theory, MemberData(nameof(Dtypes))]
    public void Rotation_with_repeated_heads(ScalarType dtype, double tolerance)
    {
        using var rotary = new RotaryEmbedding(TinyModels.Config.Rope, TinyModels.Config.HeadDim);
        var (cos, sin) = rotary.Get(9, CPU);
        var (c, s) = (cos.narrow(0, 2, 7), sin.narrow(0, 2, 7));
        Compare(dtype, tolerance, x => RotaryCall.Run(x[0], c, s, 3), x =>
        {
            var (wideCos, wideSin) = (c.to(float64).view(1, 7, 1, 32), s.to(float64).view(1, 7, 1, 32));
            var halves = x[0].chunk(2, dim: -1);
            var rotated = x[0] * wideCos + torch.cat([-halves[1], halves[0]], dim: -1) * wideSin;
            return rotated.repeat_interleave(3, dim: 2);
        }, [2, 7, 2, 32]);
    }

    [Theory, MemberData(nameof(Dtypes))]
    public void Cross_entropy_with_ignored_rows(ScalarType dtype, double tolerance)
    {
        using var targets = tensor(new long[] { 3, -100, 47, 0, -100, 31 });
        // The fused operation consumes its input: give it a copy that the graph knows.
        Compare(dtype, tolerance, x => CrossEntropyCall.Run(x[0] * 1, targets), x => nn.functional.cross_entropy(x[0], targets, ignore_index: -100), [6, 48]);
    }

    [Fact]
    public void Values_in_bfloat16_are_those_of_transformers_operations_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        Tensor Random(params long[] shape) => randn(shape).bfloat16();
        var (x, w) = (Random(40, 576), Random(576));
        var wide = x.to(float32);
        Assert.True(RmsNormCall.Run(x, w, 1e-5).Equals(w * (wide * rsqrt(wide.square().mean([-1], keepdim: true) + 1e-5)).bfloat16()), "norm");
        var (gate, up) = (Random(40, 1536), Random(40, 1536));
        Assert.True(GatedCall.Run(gate, up).Equals(nn.functional.silu(gate) * up), "gated");

        using var rotary = new RotaryEmbedding(TinyModels.Config.Rope, TinyModels.Config.HeadDim);
        var (cos, sin) = rotary.Get(9, CPU);
        var heads = Random(2, cos.shape[0], 3, 32);
        var halves = heads.chunk(2, dim: -1);
        var (c, s) = (cos.bfloat16().unsqueeze(1), sin.bfloat16().unsqueeze(1));
        Assert.True(RotaryCall.Run(heads, cos, sin, 1).Equals(heads * c + torch.cat([-halves[1], halves[0]], dim: -1) * s), "rotary");
    }

    /// <summary>The norm and the gate; the gradient of the norm's weight is added up in another order. The kernels are written for vectors of 512 bits.</summary>
    [SkippableFact]
    public void Values_and_gradients_in_float32_are_those_of_separate_operations_bit_for_bit()
    {
        Skip.IfNot(Vector512.IsHardwareAccelerated, "not a processor with vectors of 512 bits");
        foreach (var size in (int[])[16, 48, 576, 2048]) Same($"norm of {size}", x => RmsNormCall.Run(x[0], x[1], 1e-5), x => x[1] * (x[0] * rsqrt(x[0].pow(2).mean([-1], keepdim: true) + 1e-5)), [2, 20, size], [size]);
        Same("gated", x => GatedCall.Run(x[0], x[1]), x => nn.functional.silu(x[0]) * x[1], [2, 20, 1536], [2, 20, 1536]);

        static void Same(string what, Func<Tensor[], Tensor> fused, Func<Tensor[], Tensor> plain, params long[][] shapes)
        {
            using var scope = NewDisposeScope();
            random.manual_seed(5);
            var inputs = shapes.Select(shape => randn(shape).requires_grad_()).ToArray();
            inputs[^1].requires_grad = inputs[^1].dim() > 1;
            var copies = inputs.Select(x => x.detach().clone().requires_grad_(x.requires_grad)).ToArray();
            var (actual, expected) = (fused(inputs), plain(copies));
            Assert.True(actual.Equals(expected), $"{what}: values");
            var gradient = randn(expected.shape);
            actual.backward([gradient]);
            expected.backward([gradient]);
            foreach (var (input, copy) in inputs.Zip(copies).Where(pair => pair.First.requires_grad)) Assert.True(input.grad!.Equals(copy.grad!), $"{what}: gradient");
        }
    }

    [SkippableFact]
    public void Cross_entropy_over_a_large_vocabulary_rounds_as_libtorchs_does()
    {
        Skip.IfNot(Vector512.IsHardwareAccelerated, "libtorch sums in another order on this processor");
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        // A few likely words and a long tail: what is lost of the tail when it is added up in float32 changes all gradients of a row by the same factor, and training over many steps shows it.
        var logits = randn(8, 49_152) * 3;
        var targets = randint(0, 49_152, [8]);
        Tensor Gradient(Func<Tensor, Tensor> loss, ScalarType dtype)
        {
            var leaf = logits.to(dtype).detach().clone().requires_grad_();
            loss(leaf).backward();
            return leaf.grad!.to(float64);
        }

        var ours = Gradient(x => CrossEntropyCall.Run(x * 1, targets), float32);
        var (theirs, exact) = (Gradient(x => nn.functional.cross_entropy(x, targets), float32), Gradient(x => nn.functional.cross_entropy(x, targets), float64));
        var (toTheirs, theirsToExact) = ((ours - theirs).norm().item<double>(), (theirs - exact).norm().item<double>());
        Assert.True(toTheirs < 0.2 * theirsToExact, $"{toTheirs} from libtorch, which is {theirsToExact} from exact");
    }

    [Theory, InlineData(10_000, 64), InlineData(100_000, 64), InlineData(500_000, 128)]
    public void Rotary_frequencies_are_PyTorchs(double theta, int headDim)
    {
        using var scope = NewDisposeScope();
        var expected = 1 / pow(theta, arange(0, headDim, 2).to(float32) / headDim);
        Assert.Equal(expected.data<float>().ToArray(), RotaryEmbedding.Frequencies(new RopeParameters { Theta = theta }, headDim));
    }

    [Fact]
    public void A_label_outside_of_the_vocabulary_is_refused()
    {
        using var logits = zeros(2, 16);
        using var targets = tensor(new long[] { 1, 16 });
        var exception = Assert.Throws<ArgumentOutOfRangeException>(() => CrossEntropyCall.Run(logits, targets));
        Assert.Contains("below 16", exception.Message);
    }

    [Fact]
    public void Rows_that_are_not_whole_vectors_take_libtorchs_way()
    {
        using var scope = NewDisposeScope();
        var (x, w) = (randn(3, 10), randn(10));
        Assert.True(RmsNormCall.Run(x, w, 1e-5).allclose(x * (x.square().mean([-1], keepdim: true) + 1e-5).rsqrt() * w));
        Assert.True(GatedCall.Run(x, x).allclose(nn.functional.silu(x) * x));
    }

    private static void Compare(ScalarType dtype, double tolerance, Func<Tensor[], Tensor> fused, Func<Tensor[], Tensor> plain, params long[][] shapes)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(5);
        var inputs = shapes.Select(shape => randn(shape).to(dtype).requires_grad_()).ToArray();
        var wide = inputs.Select(x => x.detach().to(float64).requires_grad_()).ToArray();
        var (actual, expected) = (fused(inputs), plain(wide));
        AssertNear(actual, expected, tolerance);
        var gradient = randn(expected.shape).to(dtype);
        if (actual.dim() == 0) (actual, expected) = (actual * 0.5, expected * 0.5);
        actual.backward(actual.dim() == 0 ? null : [gradient]);
        expected.backward(expected.dim() == 0 ? null : [gradient.to(float64)]);
        foreach (var (input, truth) in inputs.Zip(wide)) AssertNear(input.grad!, truth.grad!, tolerance);
    }

    private static void AssertNear(Tensor actual, Tensor expected, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.InRange(((actual.detach().to(float64) - expected.detach()).abs().max() / expected.detach().abs().max()).item<double>(), 0, tolerance);
    }
}
