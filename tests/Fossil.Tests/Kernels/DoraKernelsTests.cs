using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>DoRA's kernels against float64: columns that are no whole panel, all dtypes.</summary>
public sealed class DoraKernelsTests
{
    [SkippableTheory]
    [InlineData(1, 16, ScalarType.Float32, ScalarType.Float32)]
    [InlineData(37, 144, ScalarType.BFloat16, ScalarType.Float32)]
    [InlineData(130, 576, ScalarType.BFloat16, ScalarType.BFloat16)]
    public void Gained_sums_equal_float64(long rows, long width, ScalarType dtype, ScalarType productDtype)
    {
        Skip.IfNot(PanelProduct.IsSupported, "This processor has no vectors of 512 bits.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(9, CPU);
        Tensor Random(params long[] shape) => randn(shape, dtype: float32, generator: generator);
        var (l, u, gradOutput, factors) = (Random(rows, width).to(productDtype), Random(rows, width).to(dtype), Random(rows, width).to(dtype), Random(5, width));
        var wide = Enumerable.Range(0, 5).Select(i => factors[i].to(float64)).ToArray();
        var sum = l.to(float64) * wide[0] + u.to(float64) * wide[1] + wide[2];
        var kernel = new GainedSum();

        var output = empty(rows, width, dtype: dtype);
        Assert.True(kernel.TryForward(Of(output), Of(l), Of(u), Of(factors.narrow(0, 0, 3))));
        AssertNear(sum, output);

        var (changeGradient, directGradient, sums) = (empty(rows, width, dtype: productDtype), empty(rows, width, dtype: dtype), ones(1, width));
        Assert.True(kernel.TryBackward(Of(gradOutput), Of(l), Of(u), Of(factors), Of(changeGradient), Of(directGradient), Of(sums)));
        AssertNear(gradOutput.to(float64) * wide[3], changeGradient);
        AssertNear(gradOutput.to(float64) * wide[4], directGradient);
        AssertNear((gradOutput.to(float64) * sum).sum(0, keepdim: true) + 1, sums);
    }

    [SkippableTheory]
    [InlineData(1, 16, ScalarType.Float32)]
    [InlineData(33, 144, ScalarType.BFloat16)]
    [InlineData(200, 576, ScalarType.Float32)]
    public void Squares_of_rows_equal_float64(long rows, long width, ScalarType dtype)
    {
        Skip.IfNot(PanelProduct.IsSupported, "This processor has no vectors of 512 bits.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(10, CPU);
        var matrix = randn([rows, width], dtype: float32, generator: generator).to(dtype);
        var squares = ones(rows);
        Assert.True(new RowSquares().TryAdd(Of(squares), Of(matrix)));
        AssertNear(matrix.to(float64).pow(2).sum(1) + 1, squares);
    }

    [Fact]
    public void Columns_that_are_no_whole_vectors_are_left_alone()
    {
        using var scope = NewDisposeScope();
        Assert.False(new GainedSum().TryForward(Of(zeros(2, 20)), Of(zeros(2, 20)), Of(zeros(2, 20)), Of(zeros(3, 20))));
        Assert.False(new RowSquares().TryAdd(Of(zeros(2)), Of(zeros(2, 20))));
    }

    private static KernelMatrix Of(Tensor tensor) => KernelMatrix.Of(tensor);

    private static void AssertNear(Tensor expected, Tensor actual) =>
        Assert.InRange(((actual.to(float64) - expected).abs().max() / expected.abs().max()).item<double>(), 0, actual.dtype == float32 ? 1e-5 : 1.0 / 256);
}
