using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>Emitted kernels, run as C++ with every access checked, against what the CPU computes. The launch stubs say how they are launched.</summary>
public sealed class ParityTests
{
    private const int Multiprocessors = 4;

    public static TheoryData<int, string> Sources()
    {
        var data = new TheoryData<int, string>();
        foreach (var source in KernelSource.Sample) data.Add(source.ShardSize, source.Element.CudaType);
        return data;
    }

    /// <summary>Rows and columns: whole chunks and short ones, less than a chunk, less than a vector, nothing, and rows that several blocks share.</summary>
    private static IEnumerable<(long Rows, long Columns)> Shapes(int shardSize) =>
        [(3, 4L * shardSize), (9, 96), (2, shardSize + (shardSize / 2) + 5), (5, 3), (2, 0), (1, 20_000 / Math.Max(1, shardSize) * shardSize + 11)];

    [SkippableTheory]
    [MemberData(nameof(Sources))]
    public void ShardSum(int shardSize, string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedKernels(shardSize, type);
        foreach (var (turn, (rows, columns)) in Shapes(shardSize).Index())
        {
            foreach (var layout in Layouts.For(turn + shardSize))
            {
                var x = layout.Of(randn(rows, columns).to(kernels.Dtype));
                var expected = ShardOperations.ShardSum(x.contiguous().to(float32), shardSize);
                foreach (var dtype in new[] { float32, kernels.Dtype })
                {
                    var sum = layout.Of(full([rows, shardSize], float.NaN, dtype: dtype));
                    var split = kernels.Launches.SplitOfSum(kernels.Matrix(x), Multiprocessors);
                    Tensor parts = empty(split.Blocks * rows * shardSize), counters = zeros([split.RowBlocks], dtype: int32);
                    kernels.Run(kernels.Launches.ShardSum(kernels.Matrix(x), kernels.Matrix(sum), dtype != float32, split, kernels.Scratch(parts), kernels.Scratch(counters)));
                    kernels.AssertClose(expected, sum, $"{rows} rows, {columns} columns, {layout.Name}");
                    Assert.Equal(0, counters.sum().item<long>());
                }
            }
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Sources))]
    public void AddTiled(int shardSize, string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedKernels(shardSize, type);
        foreach (var (turn, (rows, columns)) in Shapes(shardSize).Index())
        {
            foreach (var layout in Layouts.For(turn + shardSize))
            {
                var (before, gradient) = (randn(rows, columns).to(kernels.Dtype), layout.Of(randn(rows, shardSize)));
                var x = layout.Of(before);
                kernels.Run(kernels.Launches.AddTiled(kernels.Matrix(gradient), kernels.Matrix(x), kernels.Launches.SplitOfAdd(kernels.Matrix(x), Multiprocessors)));
                // In float32, rounded once: bit for bit.
                var expected = (before.to(float32) + gradient.repeat(1, (columns / shardSize) + 1).narrow(1, 0, columns)).to(kernels.Dtype);
                Assert.True(expected.equal(x).all().item<bool>(), $"{rows} rows, {columns} columns, {layout.Name}");
            }
        }
    }

    /// <summary>Rows, columns of x, columns of y, and columns of D.</summary>
    private static IEnumerable<(long Rows, long Columns, long Outputs, long Width)> Products(int shardSize) =>
        [(1, 2L * shardSize, 160, 160), (3, shardSize + 7, 96, 32), (9, 2L * shardSize, 5, 5), (64, 40, 130, 130), (2, 24, 18, 3)];

    [SkippableTheory]
    [MemberData(nameof(Sources))]
    public void ForwardOfFewRows(int shardSize, string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedKernels(shardSize, type);
        foreach (var (turn, (rows, columns, outputs, width)) in Products(shardSize).Index())
        {
            foreach (var layout in Layouts.For(turn + shardSize))
            {
                var (x, shard, before) = (layout.Of(randn(rows, columns).to(kernels.Dtype)), layout.Of(randn(shardSize, width)), randn(rows, outputs).to(kernels.Dtype));
                var (y, sum) = (layout.Of(before), layout.Of(zeros(rows, shardSize)));
                var expectedSum = ShardOperations.ShardSum(x.contiguous().to(float32), shardSize);
                var expected = before.to(float32) + expectedSum.mm(shard).repeat(1, outputs / width);
                kernels.Run(kernels.Launches.Forward(kernels.Matrix(x), kernels.Matrix(shard), kernels.Matrix(y), kernels.Matrix(sum)));
                kernels.AssertClose(expected, y, $"{rows} rows, {columns} to {outputs} columns, D of {width}, {layout.Name}");
                kernels.AssertClose(expectedSum, sum, $"S of {rows} rows, {columns} columns, {layout.Name}");
            }
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Sources))]
    public void BackwardOfFewRows(int shardSize, string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedKernels(shardSize, type);
        foreach (var (turn, (rows, columns, outputs, width)) in Products(shardSize).Index())
        {
            foreach (var layout in Layouts.For(turn + shardSize))
            {
                var (dy, shard, sum, before) = (layout.Of(randn(rows, outputs).to(kernels.Dtype)), layout.Of(randn(shardSize, width)), layout.Of(randn(rows, shardSize)), randn(rows, columns).to(kernels.Dtype));
                var (dx, gradient) = (layout.Of(before), layout.Of(full([shardSize, width], float.NaN)));
                var tiles = dy.contiguous().to(float32).view(rows, outputs / width, width).sum(1);
                var expectedGradient = sum.t().mm(tiles);
                var tiled = tiles.mm(shard.t()).to(kernels.Dtype).to(float32).repeat(1, (columns / shardSize) + 1).narrow(1, 0, columns);
                var (floats, counts) = kernels.Launches.BackwardScratch(kernels.Matrix(dy));
                Tensor scratch = empty(floats), counters = zeros([counts], dtype: int32);
                var at = $"{rows} rows, {columns} to {outputs} columns, D of {width}, {layout.Name}";
                kernels.Run(kernels.Launches.Backward(kernels.Matrix(dy), kernels.Matrix(shard), kernels.Matrix(sum), kernels.Matrix(dx), kernels.Matrix(gradient), kernels.Scratch(scratch), kernels.Scratch(counters)));
                kernels.AssertClose(before.to(float32) + tiled, dx, at, rounded: tiled);
                kernels.AssertClose(expectedGradient, gradient, at);
                Assert.Equal(0, counters.sum().item<long>());
                if (layout != Layouts.Dense) continue;

                // Each of the two alone.
                var (dxAlone, gradientAlone) = (layout.Of(before), layout.Of(zeros(shardSize, width)));
                kernels.Run(kernels.Launches.Backward(kernels.Matrix(dy), kernels.Matrix(shard), kernels.Matrix(sum), kernels.Matrix(dxAlone), CudaMatrix.None, kernels.Scratch(scratch), kernels.Scratch(counters)));
                kernels.Run(kernels.Launches.Backward(kernels.Matrix(dy), kernels.Matrix(shard), kernels.Matrix(sum), CudaMatrix.None, kernels.Matrix(gradientAlone), kernels.Scratch(scratch), kernels.Scratch(counters)));
                Assert.True(dx.equal(dxAlone).all().item<bool>() && gradient.equal(gradientAlone).all().item<bool>(), at);
            }
        }
    }

    [SkippableTheory]
    [InlineData(1, "float")]
    [InlineData(24, "bfloat16")]
    [InlineData(100, "float16")]
    public void RowsOfSeveralAdapters(int shardSize, string type)
    {
        using var scope = NewDisposeScope();
        var kernels = new EmulatedKernels(shardSize, type);
        const int Rows = 70, Columns = 128, Outputs = 50;
        var (x, before) = (randn(Rows, Columns).to(kernels.Dtype), randn(Rows, Outputs).to(kernels.Dtype));
        var shards = new[] { randn(shardSize, Outputs), randn(shardSize, Outputs), randn(shardSize, Outputs) };
        var y = before.clone();
        var adapters = randint(-1, 3, [Rows], dtype: int64);
        Tensor addresses = tensor(shards.Select(shard => (long)kernels.Matrix(shard).Address).ToArray());
        kernels.Run(kernels.Launches.ForwardByAdapter(kernels.Matrix(x), kernels.Scratch(addresses), kernels.Scratch(adapters), kernels.Matrix(shards[0]), kernels.Matrix(y)));

        var sum = ShardOperations.ShardSum(x.to(float32), shardSize);
        var expected = before.to(float32);
        for (var row = 0; row < Rows; row++)
        {
            var adapter = (int)adapters[row].item<long>();
            if (adapter >= 0) expected[row] += sum[row].unsqueeze(0).mm(shards[adapter]).squeeze(0);
        }
        kernels.AssertClose(expected, y, "several adapters");
    }

    [SkippableFact]
    public void NotANumberAndInfinityStayWhatTheyAre()
    {
        using var scope = NewDisposeScope();
        foreach (var element in CudaElement.All)
        {
            var kernels = new EmulatedKernels(16, element.CudaType);
            var x = tensor(new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity, 3e38f }).repeat(4).unsqueeze(0).to(kernels.Dtype);
            var (before, gradient) = (x.clone(), zeros(1, 16));
            kernels.Run(kernels.Launches.AddTiled(kernels.Matrix(gradient), kernels.Matrix(x), kernels.Launches.SplitOfAdd(kernels.Matrix(x), Multiprocessors)));
            Assert.True(x.isnan().Equals(before.isnan()) && x.nan_to_num(0).Equals(before.nan_to_num(0)));
        }
    }

    /// <summary>The emulation reports what it is there to report.</summary>
    [SkippableTheory]
    [InlineData("x[threadIdx.x / 2] = 1;", "Two threads write the same place")]
    [InlineData("x[threadIdx.x] = x[(threadIdx.x + 1) % 32];", "reads what another one writes|writes what another one reads")]
    [InlineData("x[threadIdx.x + 1] = 1;", "A write outside")]
    [InlineData("float y = x[(int)threadIdx.x - 1]; x[threadIdx.x] = y;", "A read outside|writes what another|reads what another")]
    [InlineData("SHARED(float, s, 32); x[threadIdx.x] = s[threadIdx.x];", "nobody wrote")]
    [InlineData("if (threadIdx.x < 7) __syncthreads();", "never reach a barrier")]
    [InlineData("WORDS_AT(uint4, x + 1) = uint4();", "An unaligned vector|Two threads")]
    [InlineData("SHARED(float, s, 32); s[threadIdx.x] = 1; __syncthreads(); x[threadIdx.x] = s[31 - threadIdx.x];", null)]
    public void TheEmulationSeesFaults(string body, string? expected)
    {
        using var scope = NewDisposeScope();
        var text = $"{CudaText.Read("device.cu")}\nextern \"C\" __global__ void __launch_bounds__(32) faulty(GLOBAL(float) x) {{ {body} }}\n";
        var x = zeros(32);
        var found = Emulation.Of(text).Run(new("faulty", (1, 1), (32, 1), NativeTensor.Data(x)), (NativeTensor.Data(x), 32 * sizeof(float)));
        if (expected is null) Assert.Null(found);
        else Assert.Matches(expected, found);
    }
}
