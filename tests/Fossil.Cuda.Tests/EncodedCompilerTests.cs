using Fossil.CompilerServices;

namespace Fossil.Cuda.Tests;

/// <summary>The kernels for weights that are held as blocks or codes, compiled by NVIDIA's compiler and by clang, and their launch stubs beside what the compiled kernels take.</summary>
public sealed class EncodedCompilerTests
{
    private static readonly string[] Kernels = ["multiply_few_rows", "multiply_single_row", "write_rows"];

    /// <summary>Each format for one type and architecture: all of them are <c>tools/cuda-check/matrix.sh</c>'s.</summary>
    public static TheoryData<string, string, int> Sources()
    {
        var data = new TheoryData<string, string, int>();
        foreach (var (number, format) in CudaEncodedFormat.All.Index()) data.Add(format.Name, CudaElement.All[(number + 1) % 3].CudaType, Architecture.All[number % Architecture.All.Length].Number);
        return data;
    }

    [SkippableTheory]
    [MemberData(nameof(Sources))]
    public void NvrtcMakesMachineCodeWithoutSpills(string format, string type, int architecture)
    {
        var nvrtc = Tools.RequireNvrtc();
        var source = Source(format, type);
        var binary = nvrtc.Compile(source, $"the kernels of {format} for {type}", architecture, "--ptxas-options=-v");

        var compiled = CompiledKernel.Of(binary.Log);
        Assert.Equal(Kernels, compiled.Select(kernel => kernel.Name).Order());
        Assert.All(compiled, kernel => CompilerTests.AssertFits(source, kernel));
        Assert.All(Launches(), launch => Assert.Equal(LaunchTests.ParametersOf(binary.Ptx, launch.Kernel), launch.Arguments.Select(argument => argument.Size)));
        Assert.Matches(CompilerTests.VectorStore(), CompilerTests.PtxOf(binary.Ptx, "write_rows"));
        Assert.All(Kernels[..2], kernel => Assert.Matches(CompilerTests.VectorLoad(), CompilerTests.PtxOf(binary.Ptx, kernel)));
        // Products and sums of decoding round one by one, as on the host.
        Assert.DoesNotContain("fma", CompilerTests.PtxOf(binary.Ptx, "write_rows"), StringComparison.Ordinal);
        Assert.DoesNotContain(".local", binary.Ptx, StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData("Q5_1", "float", 90)]
    [InlineData("Q6_K", "bfloat16", 80)]
    [InlineData("FourBits", "float16", 75)]
    public void ClangReadsTheSameSource(string format, string type, int architecture)
    {
        var ptx = CompilerTests.ClangPtx(Source(format, type), architecture);
        Assert.All(Kernels, kernel => Assert.Contains($".entry {kernel}(", ptx, StringComparison.Ordinal));
    }

    /// <summary>Every row of a weight and every column of a tile is some thread's, also beyond 31 bits of elements.</summary>
    [Fact]
    public void LaunchesCoverTheirOperands()
    {
        CudaEncoded weight = new(1 << 20, 1 << 12, 0);
        foreach (var (rows, columns) in new (long, long)[] { (1, 8), (3, 256), (128_256, 8192), (2_000_000_000, 4096) })
        {
            var write = CudaEncodedLaunches.Write(weight, new(2 << 20, rows, columns, columns + 8, 2), 0, (5_000_000_000, 256));
            Assert.Equal(CudaEncodedSource.Threads, (int)(write.Block.X * write.Block.Y));
            Assert.InRange((long)write.Grid.X * write.Block.Y, rows, rows + write.Block.Y - 1);
            Assert.Contains((5_000_000_000L, 8), write.Arguments.Select(argument => (argument.Bits, argument.Size)));
            Assert.Contains((rows, 8), write.Arguments.Select(argument => (argument.Bits, argument.Size)));
            var multiply = CudaEncodedLaunches.Multiply(weight, new(3 << 20, 3, columns, columns, 2), new(4 << 20, 3, rows, rows, 2), false);
            Assert.InRange((long)multiply.Grid.X * multiply.Block.Y * CudaEncodedSource.RowsOfWarp, rows, rows + (multiply.Block.Y * CudaEncodedSource.RowsOfWarp) - 1);
        }
    }

    private static string Source(string format, string type) => CudaEncodedSource.Of(CudaEncodedFormat.Find(format)!, CudaElement.All.Single(element => element.CudaType == type), CudaElement.All[0]);

    private static IEnumerable<CudaLaunch> Launches()
    {
        CudaEncoded weight = new(1 << 20, 144, 0);
        CudaMatrix x = new(2 << 20, 3, 256, 256), y = new(3 << 20, 3, 64, 64);
        yield return CudaEncodedLaunches.Write(weight, x, 0, (0, 0));
        yield return CudaEncodedLaunches.Multiply(weight, x, y, true);
        yield return CudaEncodedLaunches.Multiply(weight, x with { Rows = 1 }, y with { Rows = 1 }, false);
    }
}
