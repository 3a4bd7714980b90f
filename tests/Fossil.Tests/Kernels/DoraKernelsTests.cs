using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>DoRA's kernels against float64: columns that are no whole panel, rows that are no whole block, all dtypes; and by one thread as by several.</summary>
public sealed class DoraKernelsTests
{
    private const double Scale = 1.7;

    [SkippableTheory]
    [InlineData(1, 16, 8, false, 0, ScalarType.Float32, ScalarType.Float32)]
    [InlineData(37, 144, 8, true, 1, ScalarType.BFloat16, ScalarType.Float32)]
    [InlineData(130, 576, 8, true, 0, ScalarType.BFloat16, ScalarType.BFloat16)]
    [InlineData(1, 16, 8, true, 0, ScalarType.BFloat16, null)]
    [InlineData(37, 144, 32, true, 1, ScalarType.BFloat16, null)]
    [InlineData(130, 576, 64, false, 0, ScalarType.BFloat16, null)]
    public void Gained_sums_equal_float64(long rows, long width, long rank, bool isInDirect, int given, ScalarType dtype, ScalarType? productDtype)
    {
        // Without a dtype of l its factors are given.
        Skip.IfNot(productDtype is null ? BFloat16Blocks.IsSupported : PanelProduct.IsSupported, "This processor has no such instructions.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(9, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (left, right) = (Random(rows, rank).to(bfloat16), Random(width, rank));
        var product = left.to(float64).mm(right.to(bfloat16).to(float64).t());
        var l = productDtype is { } type ? product.to(type) : null;
        var change = l is null ? new GainedChange(Of(left), Of(right)) : new(Of(l), default);
        var (u, gradOutput, addend) = (Random(rows, width).to(dtype), Random(rows, width).to(dtype), Random(rows, width).to(dtype));
        var (m, n, b) = (Random(width), Random(width).abs() + 0.5f, Random(width).to(dtype));
        var columns = new GainedColumns(Of(m), Of(n), Of(b), isInDirect, (float)Scale, 1.25f, given);
        var (gain, wide) = (m.to(float64) / n.to(float64), (l?.to(float64) ?? product) * Scale);
        var direct = (gain - given) * 1.25;
        var kernel = new GainedSum();

        var output = empty(rows, width, dtype: dtype);
        Assert.True(kernel.TryForward(Of(output), change, Of(u), columns, given == 0 ? default : Of(addend)));
        var expected = (gain * wide) + (direct * u.to(float64)) + (isInDirect ? b.to(float64) * (1 - gain) : b.to(float64));
        AssertNear(given == 0 ? expected : expected + addend.to(float64), output);

        var (changeGradient, directGradient, gradM, gradB) = (empty(rows, width, dtype: productDtype ?? dtype), empty(rows, width, dtype: dtype), empty(width), empty(width, rank));
        Assert.True(kernel.TryBackward(Of(gradOutput), change, Of(u), columns, new(Of(changeGradient), Of(directGradient), Of(gradM), l is null ? Of(gradB) : default, Adds: false)));
        AssertNear(gradOutput.to(float64) * gain, changeGradient);
        AssertNear(gradOutput.to(float64) * direct, directGradient);
        var sum = (gradOutput.to(float64) * (wide + (u.to(float64) * 1.25) - (isInDirect ? b.to(float64) : 0))).sum(dim: 0) / n.to(float64);
        AssertNear(sum, gradM);
        if (l is null) AssertNear(changeGradient.to(float64).t().mm(left.to(float64)) * Scale, gradB);

        if (l is null) return;
        Assert.True(kernel.TryBackward(Of(gradOutput), change, Of(u), columns, new(Of(changeGradient), Of(directGradient), Of(gradM), default, Adds: true)));
        AssertNear(sum * 2, gradM);
    }

    [SkippableTheory]
    [InlineData(1, 16, 1, ScalarType.Float32)]
    [InlineData(33, 144, 8, ScalarType.BFloat16)]
    [InlineData(200, 576, 20, ScalarType.Float32)]
    [InlineData(130, 576, 32, ScalarType.BFloat16)]
    public void Norms_of_changed_rows_equal_float64(long rows, long width, long rank, ScalarType dtype)
    {
        Skip.IfNot(PanelProduct.IsSupported, "This processor has no vectors of 512 bits.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(10, CPU);
        var (matrix, a, b) = (randn([rows, width], dtype: float32, generator: generator).to(dtype), randn([rank, width], dtype: float32, generator: generator), randn([rows, rank], dtype: float32, generator: generator));
        var (norms, kernel, w) = (empty(rows), new ChangedNorms(), matrix.to(float64));
        Assert.True(kernel.TryWrite(Of(norms), Of(matrix), default, default, default, 0));
        AssertNear(linalg.vector_norm(w, dims: [1]), norms);

        Tensor Dense(Tensor factor) => linalg.vector_norm(w + (b.to(float64).mm(factor.to(float64)) * Scale), dims: [1]);
        Assert.True(kernel.TryWrite(Of(norms), Of(matrix), Of(matrix.to(float32).mm(a.t())), Of(b), Of(a.mm(a.t())), (float)Scale));
        AssertNear(Dense(a), norms);

        if (dtype != bfloat16 || !BFloat16Blocks.IsSupported) return;
        var rounded = a.to(bfloat16).to(float32);
        Assert.True(kernel.TryWriteRounded(Of(norms), Of(matrix), Of(a), Of(b), (float)Scale));
        AssertNear(Dense(rounded), norms);
    }

    [Fact]
    public void A_row_that_cancels_has_no_norm()
    {
        using var scope = NewDisposeScope();
        var (a, b) = (arange(48, dtype: float32).view(1, 48) / 7, arange(1, 34, dtype: float32).view(33, 1) / 3);
        var weight = new Fossil.Weights.FloatWeight(b.mm(a));
        Assert.True(weight.RowNorms(a, b, -1).max().item<float>() < 1);
        Assert.False(weight.RowNorms(a, b, -1).isnan().any().item<bool>());
    }

    [SkippableFact]
    public void All_threads_give_the_same()
    {
        Skip.IfNot(BFloat16Blocks.IsSupported, "This processor has no such instructions.");
        var threads = get_num_threads();
        try
        {
            using var scope = NewDisposeScope();
            Tensor[][] results = [.. new[] { 1, 2, 3 }.Select(Results)];
            foreach (var other in results[1..]) Assert.All(results[0].Zip(other), pair => Assert.True(pair.First.equal(pair.Second).all().item<bool>()));
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void Columns_that_are_no_whole_vectors_are_left_alone()
    {
        using var scope = NewDisposeScope();
        var (matrix, row) = (zeros(2, 20), zeros(20));
        Assert.False(new GainedSum().TryForward(Of(matrix), new(Of(matrix), default), Of(matrix), new(Of(row), Of(row), default, false, 1, 1, 0), default));
        Assert.False(new ChangedNorms().TryWrite(Of(zeros(2)), Of(matrix), default, default, default, 0));
    }

    private static Tensor[] Results(int threads)
    {
        set_num_threads(threads);
        using var generator = new Generator(11, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (left, a, b, u, gradOutput) = (Random(300, 32).to(bfloat16), Random(32, 256), Random(592, 32), Random(300, 592).to(bfloat16), Random(300, 592).to(bfloat16));
        var (weight, m, norms, output, gained) = (Random(592, 256).to(bfloat16), Random(592), empty(592), empty_like(u), empty_like(u));
        var (gradM, gradB) = (empty(592), empty(592, 32));
        Assert.True(new ChangedNorms().TryWriteRounded(Of(norms), Of(weight), Of(a), Of(b), 2));
        var columns = new GainedColumns(Of(m), Of(norms), default, false, 2, 1, 0);
        Assert.True(new GainedSum().TryForward(Of(output), new(Of(left), Of(b)), Of(u), columns, default));
        Assert.True(new GainedSum().TryBackward(Of(gradOutput), new(Of(left), Of(b)), Of(u), columns, new(Of(gained), Of(gained), Of(gradM), Of(gradB), Adds: false)));
        return [norms, output, gained, gradM, gradB];
    }

    private static KernelMatrix Of(Tensor tensor) => KernelMatrix.Of(tensor);

    private static void AssertNear(Tensor expected, Tensor actual) =>
        Assert.InRange(((actual.to(float64) - expected).abs().max() / expected.abs().max()).item<double>(), 0, actual.dtype == float32 ? 1e-5 : 1.0 / 256);
}
