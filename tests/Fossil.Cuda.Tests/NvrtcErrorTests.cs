using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>What a compiler can answer, by one that answers as it is asked to; and what a driver answers to its code.</summary>
[Collection(nameof(FakeDriver))]
public sealed class NvrtcErrorTests
{
    private const string Source = "extern \"C\" __global__ void nothing() { }";

    [SkippableTheory]
    [InlineData("nvrtcVersion", 1, "NVRTC_ERROR_OUT_OF_MEMORY")]
    [InlineData("nvrtcGetNumSupportedArchs", 3, "NVRTC_ERROR_INVALID_INPUT")]
    [InlineData("nvrtcGetSupportedArchs", 3, "NVRTC_ERROR_INVALID_INPUT")]
    [InlineData("nvrtcCreateProgram", 1, "NVRTC_ERROR_OUT_OF_MEMORY")]
    [InlineData("nvrtcCreateProgram", 2, "NVRTC_ERROR_PROGRAM_CREATION_FAILURE")]
    [InlineData("nvrtcCompileProgram", 5, "NVRTC_ERROR_INVALID_OPTION")]
    [InlineData("nvrtcGetPTXSize", 4, "NVRTC_ERROR_INVALID_PROGRAM")]
    [InlineData("nvrtcGetCUBINSize", 4, "NVRTC_ERROR_INVALID_PROGRAM")]
    [InlineData("nvrtcGetProgramLogSize", 4, "NVRTC_ERROR_INVALID_PROGRAM")]
    [InlineData("nvrtcDestroyProgram", 4, "NVRTC_ERROR_INVALID_PROGRAM")]
    public void AFailureIsNamed(string function, int code, string name)
    {
        var nvrtc = FakeNvrtc.Reset().Fail(function, code);
        var message = Assert.Throws<CudaException>(() => nvrtc.Open().Compile(Source, "the kernels of a test", 90)).Message;
        Assert.Contains(name, message, StringComparison.Ordinal);
        Assert.Contains(function == "nvrtcCompileProgram" ? "the kernels of a test" : function, message, StringComparison.Ordinal);
        Assert.Equal(0, nvrtc.Programs);
    }

    /// <summary>The first failure is what is said, whatever happens on the way out.</summary>
    [SkippableFact]
    public void ACompileErrorBringsItsLogThoughTheProgramCannotBeDestroyed()
    {
        var nvrtc = FakeNvrtc.Reset(new(12, 8), "the kernels of a test(3): error: identifier \"x\" is undefined").Fail("nvrtcCompileProgram", 6).Fail("nvrtcDestroyProgram", 4);
        var message = Assert.Throws<CudaException>(() => nvrtc.Open().Compile(Source, "the kernels of a test", 86)).Message;
        Assert.Contains("NVRTC 12.8 does not compile the kernels of a test for compute capability 8.0 (NVRTC_ERROR_COMPILATION)", message, StringComparison.Ordinal);
        Assert.Contains("identifier \"x\" is undefined", message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void AnOldNvrtcIsNamedWithWhatItLacks()
    {
        var message = Assert.Throws<CudaException>(() => FakeNvrtc.Reset(new(11, 0), makesMachineCode: false).Open().Compile(Source, "a test", 90)).Message;
        Assert.Contains("nvrtcGetCUBIN", message, StringComparison.Ordinal);
        Assert.Contains("FOSSIL_NVRTC", message, StringComparison.Ordinal);
        Assert.Contains("NVRTC 12.0 makes no code for compute capability 7.5", Assert.Throws<CudaException>(() => FakeNvrtc.Reset(new(12, 0), architectures: [80, 90]).Open().Compile(Source, "a test", 75)).Message, StringComparison.Ordinal);
    }

    /// <summary>A device newer than the compiler gets PTX, which its driver compiles; no machine code is asked for.</summary>
    [SkippableFact]
    public void AnOlderNvrtcMakesPtxForANewerDevice() =>
        Assert.StartsWith(".version", System.Text.Encoding.UTF8.GetString(FakeNvrtc.Reset(new(12, 0)).Fail("nvrtcGetCUBINSize", 4).Open().Compile(Source, "a test", 120).Image), StringComparison.Ordinal);

    /// <summary>Whatever the compiler says: libtorch computes, and one message has it. It is not asked again for the same source.</summary>
    [SkippableTheory]
    [InlineData("nvrtcCompileProgram", 6, "an error of a test")]
    [InlineData("nvrtcCreateProgram", 1, "NVRTC_ERROR_OUT_OF_MEMORY")]
    public void KernelsThatDoNotCompileAreSaidOnce(string function, int code, string text)
    {
        var nvrtc = FakeNvrtc.Reset(log: "an error of a test").Fail(function, code);
        AssertDeclinedWithOneMessage(nvrtc, FakeDriver.Reset(), text);
        Assert.InRange(nvrtc.Compilations, 0, 1);
    }

    /// <summary>Code of a newer NVRTC than the driver's: the message has both versions, and what to do.</summary>
    [SkippableTheory]
    [InlineData(222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION")]
    [InlineData(209, "CUDA_ERROR_NO_BINARY_FOR_GPU")]
    public void ADriverThatIsTooOldIsNamedWithItsVersion(int code, string name)
    {
        var driver = FakeDriver.Reset(architecture: 90, version: 12020);
        driver.Fail("cuModuleLoadData", code);
        var message = AssertDeclinedWithOneMessage(FakeNvrtc.Reset(new(13, 5)), driver, name);
        Assert.Contains("12.2", message, StringComparison.Ordinal);
        Assert.Contains("13.5", message, StringComparison.Ordinal);
        Assert.Contains("newer driver", message, StringComparison.Ordinal);
    }

    private static string AssertDeclinedWithOneMessage(FakeNvrtc nvrtc, FakeDriver driver, string text)
    {
        using var scope = NewDisposeScope();
        var runtime = driver.Runtime(nvrtc: nvrtc.Open);
        var kernel = new CudaSiluGate(runtime, CudaElement.All[0]);
        var message = Assert.Single(CollectedWarnings.During(() =>
        {
            for (var i = 0; i < 3; i++) Assert.False(kernel.Takes(64, ScalarType.Float32, new(DeviceType.CPU, -1)));
        }));
        Assert.Contains(text, message, StringComparison.Ordinal);
        Assert.Contains("the kernels of decoders for float", message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (driver.Launches, nvrtc.Programs));
        return message;
    }
}
