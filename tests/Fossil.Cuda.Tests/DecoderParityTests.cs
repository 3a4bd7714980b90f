using Fossil.CompilerServices;
using Fossil.Models.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The decoders' kernels, run as C++ with every access checked, against what the CPU computes: its kernels where it has one for the size, libtorch's operations elsewhere.</summary>
public sealed class DecoderParityTests
{
    public static TheoryData<string> Types() => [.. CudaElement.All.Select(element => element.CudaType)];

    /// <summary>Rows and columns: several rows a block and one, ragged ends, less than a vector, rows longer than what stays in registers; and elements before an operand's first one.</summary>
    [SkippableTheory]
    [MemberData(nameof(Types))]
    public void RmsNorm(string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedDecoder(type);
        foreach (var (rows, columns, offset) in new (long, long, int)[] { (5, 64, 0), (3, 576, 0), (2, 100, 0), (9, 96, 1), (1, 5, 0), (2, 9000, 0), (1, 4099, 0) })
        {
            var at = $"{rows} rows of {columns}, {offset} elements in";
            var (x, weight, dy) = (kernels.Random([rows, columns], offset), kernels.Random([columns]), kernels.Random([rows, columns]));
            var (inputs, factors) = (x.detach().clone().requires_grad_(), weight.detach().clone().requires_grad_());
            var expected = RmsNormCall.Run(inputs, factors, 1e-5);
            expected.backward([dy]);

            var (y, scales, dx, dw) = (kernels.Unwritten([rows, columns]), full([rows], float.NaN), kernels.Unwritten([rows, columns], offset), kernels.Unwritten([columns]));
            var matrix = kernels.Matrix(x, columns);
            kernels.Run(kernels.Launches.RmsNorm(matrix, kernels.Address(weight), kernels.Address(y), kernels.Address(scales), 1e-5f));
            kernels.AssertClose(expected.detach(), y, at);
            kernels.Run(kernels.Launches.RmsNormInputGradient(matrix, kernels.Address(weight), kernels.Address(dy), kernels.Address(dx), kernels.Address(scales)));
            kernels.AssertClose(inputs.grad!, dx, $"dx of {at}");
            foreach (var multiprocessors in new[] { 1, 400 })
            {
                // So that several blocks share the rows, whose number they reckon with.
                var split = kernels.Launches.SplitOfWeightGradient(matrix with { Rows = multiprocessors > 1 ? 200 : rows }, multiprocessors);
                Tensor parts = zeros(split.Slices * columns), counters = zeros([split.Tiles], dtype: int32);
                kernels.Run(CudaDecoderLaunches.RmsNormWeightGradient(matrix, kernels.Address(dy), kernels.Address(scales), kernels.Address(dw), split, kernels.Address(parts), kernels.Address(counters)));
                kernels.AssertClose(factors.grad!, dw, $"dw of {at}, {split.Slices} slices");
                Assert.Equal(0, counters.sum().item<long>());
            }
        }
    }

    /// <summary>Batches whose sequences share a table and others, heads that are repeated, halves that are no vectors, no rotation; and in place.</summary>
    [SkippableTheory]
    [MemberData(nameof(Types))]
    public void Rotary(string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedDecoder(type);
        foreach (var (heads, size, repeat, tableRows, offset) in new (long, int, int, int, int)[] { (4, 64, 1, 3, 0), (2, 32, 3, 6, 0), (3, 20, 1, 3, 0), (1, 6, 2, 3, 1), (2, 64, 2, 0, 0), (3, 48, 1, 6, 1) })
        {
            var at = $"{heads} heads of {size}, {repeat} times, {tableRows} rows of angles";
            var x = kernels.Random([2, 3, heads, size], offset);
            var angles = randn(Math.Max(1, tableRows), size / 2, generator: new Generator(9)).repeat(1, 2);
            var (cos, sin) = tableRows == 0 ? (null, null) : (angles.cos(), angles.sin());
            var dy = kernels.Random([2, 3, heads * repeat, size]);
            var inputs = x.detach().clone().requires_grad_();
            var expected = RotaryCall.Run(inputs, cos, sin, repeat);
            expected.backward([dy]);

            var (y, dx) = (kernels.Unwritten([2, 3, heads * repeat, size]), kernels.Unwritten([2, 3, heads, size], offset));
            var table = cos is null ? CudaMatrix.None : kernels.Matrix(cos, size);
            var (narrow, sines) = (kernels.Matrix(x, heads * size), sin is null ? 0 : kernels.Address(sin));
            kernels.Run(kernels.Launches.Rotary(narrow, kernels.Address(y), table, sines, size, repeat));
            kernels.AssertClose(expected.detach(), y, at);
            kernels.Run(kernels.Launches.RotaryBackward(kernels.Address(dy), kernels.Matrix(dx, heads * size), table, sines, size, repeat));
            kernels.AssertClose(inputs.grad!, dx, $"dx of {at}");
            if (repeat > 1) continue;

            kernels.Run(kernels.Launches.Rotary(narrow, narrow.Address, table, sines, size, repeat));
            Assert.True(x.eq(y).all().item<bool>(), $"{at}, in place");
            kernels.Run(kernels.Launches.RotaryBackward(kernels.Address(dy), kernels.Matrix(dy, heads * size), table, sines, size, repeat));
            Assert.True(dy.eq(dx).all().item<bool>(), $"dx of {at}, in place");
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Types))]
    public void Gate(string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedDecoder(type);
        foreach (var (activation, rows, columns, offset) in new (string, long, long, int)[] { ("silu", 3, 64, 0), ("gelu", 3, 64, 0), ("silu", 1, 5, 0), ("gelu", 1, 5, 0), ("silu", 7, 1100, 0), ("gelu", 3, 96, 1), ("silu", 3, 96, 1) })
        {
            var at = $"{activation}, {rows} rows of {columns}, {offset} elements in";
            var (gate, up, dy) = (kernels.Random([rows, columns], offset).mul_(3), kernels.Random([rows, columns]), kernels.Random([rows, columns]));
            // What exp overflows at, and vanishes.
            gate.view(-1)[0] = -120;
            gate.view(-1)[1] = 120;
            var (gates, ups) = (gate.detach().clone().requires_grad_(), up.detach().clone().requires_grad_());
            var expected = activation == "silu" ? GatedCall.Run(gates, ups) : GatedCall.RunGelu(gates, ups);
            expected.backward([dy]);

            var (y, gateGradient, upGradient) = (kernels.Unwritten([rows, columns]), kernels.Unwritten([rows, columns], offset), kernels.Unwritten([rows, columns]));
            kernels.Run(kernels.Launches.Gate(activation, kernels.Address(gate), kernels.Address(up), kernels.Address(y), rows * columns));
            kernels.Run(kernels.Launches.GateBackward(activation, kernels.Address(gate), kernels.Address(up), kernels.Address(dy), kernels.Address(gateGradient), kernels.Address(upGradient), rows * columns));
            kernels.AssertClose(expected.detach(), y, at);
            kernels.AssertClose(gates.grad!, gateGradient, $"the gate's gradient, {at}");
            kernels.AssertClose(ups.grad!, upGradient, $"up's gradient, {at}");
        }
    }

    /// <summary>Vocabularies of several blocks of vectors and of less than one; rows that do not count; logits of minus infinity, and large ones.</summary>
    [SkippableTheory]
    [MemberData(nameof(Types))]
    public void CrossEntropy(string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedDecoder(type);
        foreach (var (vocabulary, offset) in new (long, int)[] { (96, 0), (20_000, 0), (1003, 0), (7, 0), (128, 1) })
        {
            var logits = kernels.Random([4, vocabulary], offset).mul_(4);
            logits[0].narrow(0, 0, 3).fill_(float.NegativeInfinity);
            logits[1].add_(500);
            var targets = tensor([5L, vocabulary - 1, CrossEntropyCall.Ignored, 4]);
            // In float32: the CPU's kernel takes the target's one off behind the rounding.
            var reference = logits.detach().to(float32).requires_grad_();
            var expected = nn.functional.cross_entropy(reference, targets, ignore_index: CrossEntropyCall.Ignored);
            expected.backward();

            var losses = full([4], float.NaN);
            var (matrix, ids) = (kernels.Matrix(logits, vocabulary), kernels.Matrix(targets, 1));
            var before = logits.clone();
            kernels.Run(CudaDecoderLaunches.CrossEntropy(matrix, ids, kernels.Address(losses), false, 1f / 3));
            Assert.True(before.eq(logits).all().item<bool>(), "The logits stay where no gradient is wanted.");
            Assert.Equal(expected.item<float>(), losses.sum().item<float>() / 3, 1e-4 * (1 + Math.Abs(expected.item<float>())));
            kernels.Run(CudaDecoderLaunches.CrossEntropy(matrix, ids, kernels.Address(losses), true, 1f / 3));
            Assert.Equal(0, losses[2].item<float>());
            // Probabilities are below a third here: what counts is their own size.
            kernels.AssertClose(reference.grad!.mul(64), logits.mul(64), $"the gradient over {vocabulary}");
        }
    }
}
