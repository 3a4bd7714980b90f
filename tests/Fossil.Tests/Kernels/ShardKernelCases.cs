using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Kernels.Cpu;
using Fossil.TestData;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

// Chunks that are a part of a vector, whole vectors, overlap, and have more vectors than a pass keeps in registers.
[assembly: Fossil.FossilShardSizes(17, 100, 264)]

namespace Fossil.Tests.Kernels;

/// <summary>All kernels of Fossil.dll, and the generated ones, over a sample of sizes, dtypes, threads and vectors.</summary>
public sealed class ShardKernelCases
{
    private static readonly long[] Widths = [17, 65, 72, 100, 160, 200, 1000, 3000];

    private static readonly int[] ShardSizes = [6, 8, 17, 32, 100, 264];

    [SkippableTheory, InlineData(512), InlineData(256), InlineData(128)]
    public Task Kernels_equal_float64_and_come_out_the_same_each_time(int bits) => KernelCases.RunInProcess(typeof(ShardKernelCases).Assembly, bits);

    /// <summary>The program that the test starts.</summary>
    internal static int RunAll(string bits) => KernelCases.Run(
        bits,
        [.. Pairwise.Cover(KernelCases.Rows.Length, Widths.Length, ShardSizes.Length, KernelCases.Dtypes.Length, KernelCases.Threads.Length).Select(row =>
            new KernelCase(KernelCases.Rows[row[0]], Widths[row[1]], ShardSizes[row[2]], KernelCases.Dtypes[row[3]], KernelCases.Threads[row[4]]))],
        one => [.. Sums(one), .. Products(one), .. Decoding(one), .. Optimizer(one)]);

    private static IEnumerable<KernelOperation> Sums(KernelCase one)
    {
        var (x, shard) = (Random(one, one.Rows, one.Width), Random(one.Rows, one.Size).to(ShardOperations.Accumulator(one.Dtype)));
        var padding = (one.Size - (one.Width % one.Size)) % one.Size;
        Tensor[] Sum() => [nn.functional.pad(x.to(float64), [0L, padding]).view(one.Rows, -1, one.Size).sum(1)];
        Tensor[] Added() => [x.to(float64) + shard.to(float64).repeat(1, (one.Width / one.Size) + 1).narrow(1, 0, one.Width)];
        Assert.NotNull(ShardKernelRegistry.Find(one.Size));
        var hasKernels = one.Dtype != float64;
        yield return new("shard sum", () => [ShardOperations.ShardSum(x, one.Size)], Sum, Sums(one.Dtype), hasKernels);
        yield return new("shard sum by libtorch's operations", SumByOperations, Sum, Sums(one.Dtype), OnAnyThreads: false);
        yield return new("tiled add", () => Add(gradient => ShardOperations.AddTiled(gradient, shard, one.Size)), Added, Once(one.Dtype), hasKernels);
        yield return new("tiled add by libtorch's operations", () => Add(gradient => ShardOperations.AddTiledByOperations(gradient, shard)), Added, Once(one.Dtype), OnAnyThreads: false);

        Tensor[] SumByOperations()
        {
            var sum = empty(one.Rows, one.Size, dtype: shard.dtype);
            ShardOperations.SumByOperations(x, sum);
            return [sum];
        }

        Tensor[] Add(Action<Tensor> add)
        {
            var gradient = x.clone();
            add(gradient);
            return [gradient];
        }
    }

    private static IEnumerable<KernelOperation> Products(KernelCase one)
    {
        var accumulator = ShardOperations.Accumulator(one.Dtype);
        var (y, sum, shard) = (Random(one, one.Rows, one.Width), Random(one.Rows, one.Size).to(accumulator), Random(one.Size, one.Width).to(accumulator));
        var (wide, wideSum, wideShard) = (y.to(float64), sum.to(float64), shard.to(float64));
        var hasKernels = KernelRegistry.TryRun<IShardProduct>(one.Size, [y.clone(), sum, shard], (kernel, m) => kernel.TryAdd(m[0], m[1], m[2]));
        Assert.Equal(PanelProduct.IsSupported && one.Width >= PanelProduct.Width && one.Dtype != float64, hasKernels);
        var hasBoth = KernelRegistry.TryRun<ISumGradient>(one.Size, [y, empty_like(sum), shard], (kernel, m) => kernel.TrySumGradient(m[0], m[1], m[2]));

        yield return new("y += S D", Add, () => [wide + wideSum.mm(wideShard)], Sums(one.Dtype) + Once(one.Dtype), hasKernels);
        yield return new("dS = dy Dᵀ and dD = Sᵀ dy", () => Gradients(true), () => [wide.mm(wideShard.t()), wideSum.t().mm(wide)], Sums(one.Dtype), hasBoth);
        yield return new("dD = Sᵀ dy", () => Gradients(false), () => [wideSum.t().mm(wide)], Sums(one.Dtype), hasKernels);
        if (one.Dtype != bfloat16) yield break;
        var delta = Random(one.Rows, one.Width);
        yield return new("addition of a delta", AddDelta, () => [wide + delta.to(float64)], Once(bfloat16), OnAnyThreads: true);

        Tensor[] Add()
        {
            var output = y.clone();
            ShardOperations.AddProducts(output, [(sum, shard)]);
            return [output];
        }

        Tensor[] Gradients(bool needsSum)
        {
            var (sumGradient, shardGradient) = ShardOperations.ProductGradients(y, sum, shard, needsSum, needsShard: true);
            return sumGradient is null ? [shardGradient!] : [sumGradient, shardGradient!];
        }

        Tensor[] AddDelta()
        {
            var target = y.clone();
            ShardOperations.AddRounded(target, delta);
            return [target];
        }
    }

    /// <summary>A row or a few through a layer from as many columns as the case has rows, or what is near it and fits.</summary>
    private static IEnumerable<KernelOperation> Decoding(KernelCase one)
    {
        const int Vector = 16;
        var shardSize = Math.Max(Vector, one.Size / Vector * Vector);
        var inputs = ((one.Rows / (2 * shardSize)) + 1) * 2 * shardSize;
        var (x, weight, shard) = (Random(one, 1 + (one.Rows % IFewRowsProduct.MostRows), inputs), Random(one, one.Width, inputs), Random(shardSize, one.Width));
        var first = x.narrow(0, 0, 1);
        var y = nn.functional.linear(x, weight);
        Tensor Delta(Tensor rows) => rows.to(float64).view(rows.shape[0], -1, shardSize).sum(1).mm(shard.to(float64));
        if (TryFew(y.clone())) yield return new("a few rows", Few, () => [y.to(float64) + Delta(x)], Sums(one.Dtype) + Once(one.Dtype), OnAnyThreads: true);
        if (TryOne(empty(1, one.Width, dtype: one.Dtype)))
            yield return new("one row", One, () => [first.to(float64).mm(weight.to(float64).t()) + Delta(first)], 2 * Once(one.Dtype), OnAnyThreads: true);

        if (TryPlain(empty(1, one.Width, dtype: one.Dtype)))
            yield return new("one row without an adapter", Plain, () => [first.to(float64).mm(weight.to(float64).t())], Once(one.Dtype), OnAnyThreads: true);

        bool TryFew(Tensor output) => KernelRegistry.TryRun<IFewRowsProduct>(shardSize, [output, x, shard], (kernel, m) => kernel.TryAddOfFewRows(m[0], m[1], m[2]));

        bool TryOne(Tensor output) => KernelRegistry.TryRun<IOneRowProduct>(shardSize, [output, first, weight, shard], (kernel, m) => kernel.TryRun(m[0], m[1], m[2], m[3]));

        bool TryPlain(Tensor output) => KernelRegistry.TryRun<IOneRowProduct>(0, [output, first, weight], (kernel, m) => kernel.TryRun(m[0], m[1], m[2]));

        Tensor[] Plain()
        {
            var output = empty(1, one.Width, dtype: one.Dtype);
            TryPlain(output);
            return [output];
        }

        Tensor[] Few()
        {
            var output = y.clone();
            TryFew(output);
            return [output];
        }

        Tensor[] One()
        {
            var output = empty(1, one.Width, dtype: one.Dtype);
            TryOne(output);
            return [output];
        }
    }

    private static IEnumerable<KernelOperation> Optimizer(KernelCase one)
    {
        var (parameter, gradient) = (Random(one, one.Rows, one.Width), Random(one, one.Rows, one.Width));
        var (first, second) = (Random(one, one.Rows, one.Width), Random(one, one.Rows, one.Width).square());
        var c = new AdamWCoefficients(LearningRate: 0.1, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, Step: 3);
        yield return new("AdamW", Step, ExactStep, 4 * Once(one.Dtype), one.Dtype == float32);
        yield return new("clipping", Clip, ExactClip, 2 * Once(one.Dtype), one.Dtype == float32);

        Tensor[] Step()
        {
            Tensor[] state = [parameter.clone(), first.clone(), second.clone()];
            AdamWUpdate.Step(state[0], gradient, state[1], state[2], c);
            return state;
        }

        Tensor[] ExactStep()
        {
            var (g, m, v) = (gradient.to(float64), first.to(float64), second.to(float64));
            (m, v) = (m * c.Beta1 + g * (1 - c.Beta1), v * c.Beta2 + g * g * (1 - c.Beta2));
            return [parameter.to(float64) * c.Decay - m / (v.sqrt() / c.SecondMomentRoot + c.Epsilon) * c.StepSize, m, v];
        }

        Tensor[] Clip()
        {
            using var clipped = new Parameter(parameter.clone());
            clipped.grad = gradient.clone();
            var norm = GradientClipping.ClipGradNorm([clipped], maxNorm: 1);
            return [clipped.grad, tensor(norm)];
        }

        Tensor[] ExactClip()
        {
            var wide = gradient.to(float64);
            var norm = wide.norm();
            return [wide * (1 / (norm + 1e-6)).clamp_max(1), norm];
        }
    }

    /// <summary>What a sum in float32 may lose, whatever the operands' dtype.</summary>
    private static double Sums(ScalarType dtype) => dtype == float64 ? 1e-12 : 2e-5;

    /// <summary>One rounding.</summary>
    private static double Once(ScalarType dtype) => dtype == bfloat16 ? 1.0 / 256 : Sums(dtype);

    private static Tensor Random(KernelCase one, params long[] shape) => randn(shape, dtype: float32).to(one.Dtype);

    private static Tensor Random(params long[] shape) => randn(shape, dtype: float32);
}
