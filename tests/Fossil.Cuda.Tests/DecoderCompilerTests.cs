using Fossil.CompilerServices;

namespace Fossil.Cuda.Tests;

/// <summary>The decoders' kernels compiled by NVIDIA's compiler and by clang, and their launch stubs beside what the compiled kernels take.</summary>
public sealed class DecoderCompilerTests
{
    private static readonly string[] Kernels = ["cross_entropy", "gelu_gate", "gelu_gate_backward", "rms_norm", "rms_norm_input_gradient", "rms_norm_weight_gradient", "rotary", "rotary_backward", "silu_gate", "silu_gate_backward"];

    /// <summary>Each type for some architectures, every architecture for some type: all of them are <c>tools/cuda-check/matrix.sh</c>'s.</summary>
    [SkippableTheory]
    [InlineData("float", 80)]
    [InlineData("float", 120)]
    [InlineData("bfloat16", 75)]
    [InlineData("bfloat16", 90)]
    [InlineData("float16", 100)]
    public void NvrtcMakesMachineCodeWithoutSpills(string type, int architecture)
    {
        var nvrtc = Tools.RequireNvrtc();
        var source = Source(type);
        var binary = nvrtc.Compile(source, $"the kernels of decoders for {type}", architecture, "--ptxas-options=-v");

        var compiled = CompiledKernel.Of(binary.Log);
        Assert.Equal(Kernels, compiled.Select(kernel => kernel.Name).Order());
        Assert.All(compiled, kernel => CompilerTests.AssertFits(source, kernel));
        Assert.All(Launches(type), launch => Assert.Equal(LaunchTests.ParametersOf(binary.Ptx, launch.Kernel), launch.Arguments.Select(argument => argument.Size)));
        Assert.All(Kernels, kernel => Assert.Matches(CompilerTests.VectorLoad(), CompilerTests.PtxOf(binary.Ptx, kernel)));
        Assert.All(Kernels.Where(kernel => kernel != "rms_norm_weight_gradient"), kernel => Assert.Matches(CompilerTests.VectorStore(), CompilerTests.PtxOf(binary.Ptx, kernel)));
        Assert.DoesNotContain(".local", binary.Ptx, StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData("float", 90)]
    [InlineData("bfloat16", 80)]
    public void ClangReadsTheSameSource(string type, int architecture)
    {
        var ptx = CompilerTests.ClangPtx(Source(type), architecture);
        Assert.All(Kernels, kernel => Assert.Contains($".entry {kernel}(", ptx, StringComparison.Ordinal));
    }

    [Fact]
    public void EveryKernelHasALaunch() => Assert.Equal(Kernels, Launches("float").Select(launch => launch.Kernel).Order());

    /// <summary>Rows and elements that need more than 31 bits are counted with 64; a launch whose grid the device does not have is not made.</summary>
    [Fact]
    public void LargeOperandsAreWithinTheGrid()
    {
        CudaDecoderLaunches launches = new(CudaElement.All[1]);
        Assert.True(CudaDecoderLaunches.Takes(int.MaxValue, 1 << 30));
        Assert.False(CudaDecoderLaunches.Takes(1L + int.MaxValue, 64));
        Assert.False(CudaDecoderLaunches.Takes(1, (1L << 30) + 1));
        Assert.Equal(5_000_000_000L, launches.Gate("silu", 1, 2, 3, 5_000_000_000L).Arguments[3].Bits);
        Assert.Equal((5_000_000_000L + 2047) / 2048, launches.Gate("silu", 1, 2, 3, 5_000_000_000L).Grid.X);
        foreach (var columns in new long[] { 1, 576, 4096, 1 << 20 })
        {
            var launch = launches.RmsNorm(new(1, 1001, columns, columns), 2, 3, 4, 1e-5f);
            Assert.Equal(CudaDecoderSource.Threads, (int)(launch.Block.X * launch.Block.Y));
            Assert.True(launch.Grid.X * launch.Block.Y >= 1001 && (launch.Grid.X - 1) * launch.Block.Y < 1001);
        }
    }

    private static string Source(string type) => CudaDecoderSource.Of(CudaElement.All.Single(element => element.CudaType == type));

    private static IEnumerable<CudaLaunch> Launches(string type)
    {
        CudaDecoderLaunches launches = new(CudaElement.All.Single(element => element.CudaType == type));
        CudaMatrix x = new(1 << 20, 3, 64, 64), cos = new(2 << 20, 3, 32, 32);
        yield return launches.RmsNorm(x, 1, 2, 3, 1e-5f);
        yield return launches.RmsNormInputGradient(x, 1, 2, 3, 4);
        yield return CudaDecoderLaunches.RmsNormWeightGradient(x, 1, 2, 3, (1, 1), 4, 5);
        yield return launches.Rotary(x, 1, cos, 2, 32, 1);
        yield return launches.RotaryBackward(1, x, cos, 2, 32, 1);
        foreach (var activation in new[] { "silu", "gelu" })
        {
            yield return launches.Gate(activation, 1, 2, 3, 4);
            yield return launches.GateBackward(activation, 1, 2, 3, 4, 5, 6);
        }
        yield return CudaDecoderLaunches.CrossEntropy(x, cos, 1, true, 1);
    }
}
