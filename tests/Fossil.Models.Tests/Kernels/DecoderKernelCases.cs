using Fossil.Models.Kernels;
using Fossil.Models.Tests.Decoder;
using Fossil.Models.Tests.Quantised;
using Fossil.TestData;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Kernels;

/// <summary>All kernels of Fossil.Models.dll, forward and backward, over a sample of sizes, dtypes, threads and vectors.</summary>
public sealed class DecoderKernelCases
{
    /// <summary>Those that kernels take are multiples of sixteen; the others go to libtorch's operations.</summary>
    private static readonly long[] Widths = [16, 17, 48, 65, 72, 100, 160, 176, 1000, 1008, 3000];

    /// <summary>Query heads, key-value heads, and head_dim.</summary>
    private static readonly (long Heads, long KeyValueHeads, long Size)[] Heads = [(1, 1, 32), (4, 1, 64), (6, 2, 96), (3, 3, 128), (2, 1, 20)];

    [SkippableTheory, InlineData(512), InlineData(256), InlineData(128)]
    public Task Kernels_equal_float64_and_come_out_the_same_each_time(int bits) => KernelCases.RunInProcess(typeof(DecoderKernelCases).Assembly, bits);

    /// <summary>The program that the test starts.</summary>
    public static int Main(string[] arguments)
    {
        if (arguments is [QuantisedMemory.Command, var how, var path]) return QuantisedMemory.Run(how, path);
        if (arguments is not [KernelCases.Command, var bits])
        {
            Console.Error.WriteLine($"usage: {KernelCases.Command} BITS");
            return 2;
        }

        KernelCase[] cases = [.. Pairwise.Cover(KernelCases.Rows.Length, Widths.Length, Heads.Length, KernelCases.Dtypes.Length, KernelCases.Threads.Length).Select(row =>
            new KernelCase(KernelCases.Rows[row[0]], Widths[row[1]], row[2], KernelCases.Dtypes[row[3]], KernelCases.Threads[row[4]]))];
        return KernelCases.Run(bits, cases, one => [.. RowByRow(one), .. Attention(one), .. one == cases[0] ? BlockOperations.All() : []]);
    }

    private static IEnumerable<KernelOperation> RowByRow(KernelCase one)
    {
        var (rows, width) = (one.Rows, one.Width);
        var isKernel = one.Dtype != float64 && width % 16 == 0;
        yield return Differentiated("norm", one, isKernel, x => RmsNormCall.Run(x[0], x[1], 1e-5), x => x[0] * (x[0].square().mean([-1], keepdim: true) + 1e-5).rsqrt() * x[1],
            Random(one, rows, width), Random(one, width));
        yield return Differentiated("gate", one, isKernel, x => GatedCall.Run(x[0], x[1]), x => nn.functional.silu(x[0]) * x[1], Random(one, rows, width), Random(one, rows, width));

        var targets = randint(0, width, [rows]);
        if (rows > 2) targets[1] = tensor(CrossEntropyCall.Ignored);
        // The kernel writes the gradient over its input: it gets a copy that the graph knows.
        yield return Differentiated("cross-entropy", one, isKernel, x => CrossEntropyCall.Run(x[0] * 1, targets), x => nn.functional.cross_entropy(x[0], targets, ignore_index: CrossEntropyCall.Ignored), Random(one, rows, width));
        var output = Random(one, width, 32);
        yield return Differentiated("output loss", one, isKernel, x => OutputLossCall.Run(x[0], h => nn.functional.linear(h, output), new FloatWeight(output), targets, width),
            x => nn.functional.cross_entropy(nn.functional.linear(x[0], output.to(float64)), targets, ignore_index: CrossEntropyCall.Ignored), Random(one, rows, 32));
    }

    private static IEnumerable<KernelOperation> Attention(KernelCase one)
    {
        var (heads, keyValueHeads, size) = Heads[one.Size];
        // The rows as sequences that are not too long for scores in float64.
        var tokens = Enumerable.Range(1, 260).Select(count => (long)count).Last(count => one.Rows % count == 0);
        var batch = one.Rows / tokens;
        var (q, k, v) = (Random(one, batch, tokens, heads, size), Random(one, batch, tokens, keyValueHeads, size), Random(one, batch, tokens, keyValueHeads, size));
        var angles = randn([tokens, size / 2], dtype: float32) * 6;
        var (cos, sin) = (cat([angles.cos(), angles.cos()], 1), cat([angles.sin(), angles.sin()], 1));
        var repeat = (int)(heads / keyValueHeads);
        yield return Differentiated("rotation", one, one.Dtype != float64 && size % 32 == 0, x => RotaryCall.Run(x[0], cos, sin, repeat), Turned, k);
        if (CausalAttentionCall.Fits(q)) yield return Differentiated("attention", one, isKernel: true, x => CausalAttentionCall.Run(x[0], x[1], x[2], cos, sin), x => CausalAttentionTests.Reference(x, cos, sin), q, k, v);

        Tensor Turned(Tensor[] x)
        {
            var halves = x[0].chunk(2, dim: -1);
            var rotated = x[0] * cos.to(float64).view(1, tokens, 1, size) + cat([-halves[1], halves[0]], dim: -1) * sin.to(float64).view(1, tokens, 1, size);
            return rotated.repeat_interleave(repeat, dim: 2);
        }
    }

    /// <summary>The value and the gradients of all inputs.</summary>
    private static KernelOperation Differentiated(string name, KernelCase one, bool isKernel, Func<Tensor[], Tensor> operation, Func<Tensor[], Tensor> exact, params Tensor[] inputs)
    {
        Tensor? gradient = null;
        var tolerance = one.Dtype == float64 ? 1e-6 : one.Dtype == float32 ? 2e-5 : 4.0 / 256;
        return new(name, () => Results(operation, one.Dtype), () => Results(exact, float64), tolerance, isKernel);

        Tensor[] Results(Func<Tensor[], Tensor> compute, ScalarType dtype)
        {
            using var scope = NewDisposeScope();
            var leaves = inputs.Select(input => input.to(dtype).detach().clone().requires_grad_()).ToArray();
            var value = compute(leaves);
            if (value.dim() > 0) gradient ??= randn(value.shape, dtype: float32).to(one.Dtype).DetachFromDisposeScope();
            value.backward(value.dim() == 0 ? null : [gradient!.to(dtype)]);
            return [.. leaves.Select(leaf => leaf.grad!).Prepend(value.detach()).Select(result => result.MoveToOuterDisposeScope())];
        }
    }

    private static Tensor Random(KernelCase one, params long[] shape) => randn(shape, dtype: float32).to(one.Dtype);
}
