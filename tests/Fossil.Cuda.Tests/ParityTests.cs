using Fossil.CompilerServices;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>Emitted kernels, run as C++ with every access checked, against what the CPU computes. The launch stubs say how they are launched.</summary>
public sealed class ParityTests
{
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
                    Assert.True(kernels.Stubs.TryShardSum(kernels, kernels.Matrix(x), kernels.Matrix(sum)));
                    kernels.AssertClose(expected, sum, $"{rows} rows, {columns} columns, {layout.Name}");
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
                var (rounds, adds) = (turn % 2 == 0, turn % 3 > 0);
                Assert.True(kernels.Stubs.TryAddTiled(kernels, kernels.Matrix(gradient), kernels.Matrix(x), rounds, adds));
                // In float32, rounded once: bit for bit.
                var tiled = (rounds ? gradient.to(kernels.Dtype).to(float32) : gradient).repeat(1, (columns / shardSize) + 1).narrow(1, 0, columns);
                var expected = (adds ? before.to(float32) + tiled : tiled).to(kernels.Dtype);
                Assert.True(expected.equal(x).all().item<bool>(), $"{rows} rows, {columns} columns, {layout.Name}");
            }
        }
    }

    /// <summary>Rows, columns of x, columns of y, and columns of D.</summary>
    private static IEnumerable<(long Rows, long Columns, long Outputs, long Width)> Products(int shardSize) =>
        [(1, 2L * shardSize, 160, 160), (3, shardSize + 7, 96, 32), (9, 2L * shardSize, 5, 5), (64, 40, 130, 130), (2, 24, 18, 3)];

    /// <summary>Each emitted source with float32 products and, where its elements have 16 bits, with rounded factors.</summary>
    public static TheoryData<int, string, bool> Steps()
    {
        var data = new TheoryData<int, string, bool>();
        foreach (var source in KernelSource.Sample)
        {
            data.Add(source.ShardSize, source.Element.CudaType, false);
            if (source.Element.HasTensorCores) data.Add(source.ShardSize, source.Element.CudaType, true);
        }
        return data;
    }

    [SkippableTheory]
    [MemberData(nameof(Steps))]
    public void ForwardOfFewRows(int shardSize, string type, bool isRounded) => AssertForward(new(shardSize, type), shardSize, isRounded, Products(shardSize));

    [SkippableTheory]
    [MemberData(nameof(Steps))]
    public void BackwardOfFewRows(int shardSize, string type, bool isRounded) => AssertBackward(new(shardSize, type), shardSize, isRounded, Products(shardSize));

    /// <summary>Compute capability 7.5 multiplies bfloat16 without tensor cores, in the same fragments.</summary>
    [SkippableFact]
    public void BFloat16WithoutTensorCores()
    {
        EmulatedKernels kernels = new(24, "bfloat16", "#undef HAS_BFLOAT16_MMA\n#define HAS_BFLOAT16_MMA 0\n");
        (long, long, long, long)[] products = [(9, 64, 136, 136), (3, 31, 96, 32)];
        AssertForward(kernels, 24, isRounded: true, products);
        AssertBackward(kernels, 24, isRounded: true, products);
    }

    private static void AssertForward(EmulatedKernels kernels, int shardSize, bool isRounded, IEnumerable<(long Rows, long Columns, long Outputs, long Width)> products)
    {
        using var scope = NewDisposeScope();
        foreach (var (turn, (rows, columns, outputs, width)) in products.Index())
        {
            foreach (var layout in Layouts.For(turn + shardSize))
            {
                var (x, shard, before, adds) = (layout.Of(randn(rows, columns).to(kernels.Dtype)), layout.Of(randn(shardSize, width)), randn(rows, outputs).to(kernels.Dtype), turn % 2 == 0);
                var (y, sum) = (layout.Of(adds ? before : full_like(before, float.NaN)), layout.Of(zeros(rows, shardSize)));
                Assert.True(kernels.Stubs.TryForward(kernels, kernels.Matrix(x), kernels.Matrix(shard), kernels.Matrix(y), kernels.Matrix(sum), isRounded, adds));

                var at = $"{rows} rows, {columns} to {outputs} columns, D of {width}, {layout.Name}";
                kernels.AssertClose(ShardOperations.ShardSum(x.contiguous().to(float32), shardSize), sum, $"S of {at}");
                var rounds = isRounded && rows > 1;
                Assert.Equal(rounds ? "forward_few_rounded" : rows == 1 ? "forward_single_rows" : "forward_few_rows", kernels.Launched);
                var product = Factor(sum, kernels, rounds).mm(Factor(shard, kernels, rounds)).repeat(1, outputs / width);
                kernels.AssertClose(adds ? before.to(float32) + product : product, y, at);
            }
        }
    }

    private static void AssertBackward(EmulatedKernels kernels, int shardSize, bool isRounded, IEnumerable<(long Rows, long Columns, long Outputs, long Width)> products)
    {
        using var scope = NewDisposeScope();
        foreach (var (turn, (rows, columns, outputs, width)) in products.Index())
        {
            foreach (var layout in Layouts.For(turn + shardSize))
            {
                var (dy, shard, sum, before) = (layout.Of(randn(rows, outputs).to(kernels.Dtype)), layout.Of(randn(shardSize, width)), layout.Of(randn(rows, shardSize)), randn(rows, columns).to(kernels.Dtype));
                var (rounds, adds) = (isRounded && rows > 1, turn % 2 == 0);
                Tensor DX() => layout.Of(adds ? before : full_like(before, float.NaN));
                var (dx, gradient) = (DX(), layout.Of(full([shardSize, width], float.NaN)));
                bool Run(bool withInput, bool withShard) => kernels.Stubs.TryBackward(
                    kernels, kernels.Matrix(dy), kernels.Matrix(shard), kernels.Matrix(sum), withInput ? kernels.Matrix(dx) : CudaMatrix.None, withShard ? kernels.Matrix(gradient) : CudaMatrix.None, isRounded, adds);
                Assert.True(Run(withInput: true, withShard: true));

                var at = $"{rows} rows, {columns} to {outputs} columns, D of {width}, {layout.Name}";
                Assert.Equal(rounds ? "backward_few_rounded" : "backward_few_rows", kernels.Launched);
                var tiles = dy.contiguous().to(float32).view(rows, outputs / width, width).sum(1);
                var tiled = tiles.mm(Factor(shard, kernels, rounds).t()).to(kernels.Dtype).to(float32).repeat(1, (columns / shardSize) + 1).narrow(1, 0, columns);
                kernels.AssertClose(adds ? before.to(float32) + tiled : tiled, dx, at, rounded: tiled);
                kernels.AssertClose(Factor(sum, kernels, rounds).t().mm(tiles), gradient, at);
                if (layout != Layouts.Dense) continue;

                // Each of the two alone.
                var (both, bothGradient) = (dx, gradient);
                (dx, gradient) = (DX(), zeros(shardSize, width));
                Assert.True(Run(withInput: true, withShard: false) && Run(withInput: false, withShard: true));
                Assert.True(both.equal(dx).all().item<bool>() && bothGradient.equal(gradient).all().item<bool>(), at);
            }
        }
    }

    private static Tensor Factor(Tensor factor, EmulatedKernels kernels, bool isRounded) => isRounded ? factor.to(kernels.Dtype).to(float32) : factor;

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
        Assert.True(kernels.Stubs.TryForwardByAdapter(kernels, kernels.Matrix(x), kernels.Address(addresses), kernels.Address(adapters), kernels.Matrix(shards[0]), kernels.Matrix(y)));

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
            Assert.True(kernels.Stubs.TryAddTiled(kernels, kernels.Matrix(gradient), kernels.Matrix(x), rounds: false, adds: true));
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
