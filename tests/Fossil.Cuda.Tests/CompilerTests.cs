using System.Text.RegularExpressions;

namespace Fossil.Cuda.Tests;

/// <summary>Emitted sources compiled to machine code by NVIDIA's compiler, and by clang.</summary>
public sealed partial class CompilerTests
{
    /// <summary>A warp gets registers in units of 256, eight a thread.</summary>
    private const int RegistersOfMultiprocessor = 65536, RegistersAtOnce = 8;

    public static TheoryData<int, string> Sources()
    {
        var data = new TheoryData<int, string>();
        foreach (var source in KernelSource.Sample) data.Add(source.ShardSize, source.Element.CudaType);
        return data;
    }

    [SkippableTheory]
    [MemberData(nameof(Sources))]
    public void NvrtcMakesMachineCodeWithoutSpills(int shardSize, string type)
    {
        var nvrtc = Tools.RequireNvrtc();
        var source = new KernelSource(shardSize, CudaElement.All.Single(element => element.CudaType == type));
        // Each source for one architecture, all architectures over the sources: the whole matrix is tools/cuda-check/matrix.sh's.
        var architecture = Architecture.All[(shardSize + source.Element.CudaType.Length) % Architecture.All.Length].Number;

        var binary = nvrtc.Compile(source.Text, source.ToString(), architecture, "--ptxas-options=-v");

        Assert.NotEmpty(binary.Image);
        var kernels = CompiledKernel.Of(binary.Log);
        Assert.Equal(KernelSource.KernelsOf(source.Text).Order(), kernels.Select(kernel => kernel.Name).Order());
        Assert.All(kernels, kernel => AssertFits(source.Text, kernel));
    }

    /// <summary>Nothing spilled, nothing in local memory, and as many blocks on a multiprocessor as <c>__launch_bounds__</c> says.</summary>
    internal static void AssertFits(string source, CompiledKernel kernel) => Assert.Null(Misfit(source, kernel));

    /// <summary>What of that a kernel is not; null where it is all.</summary>
    internal static string? Misfit(string source, CompiledKernel kernel)
    {
        const int MostShared = 48 * 1024;
        if ((kernel.Stack, kernel.SpillStores, kernel.SpillLoads) != (0, 0, 0)) return $"{kernel} uses local memory.";
        var blocks = BlocksOf(source, kernel.Name);
        var registers = (kernel.Registers + RegistersAtOnce - 1) / RegistersAtOnce * RegistersAtOnce;
        if (registers * CudaShardShape.Threads * blocks > RegistersOfMultiprocessor) return $"{kernel} leaves no room for {blocks} blocks.";
        return kernel.Shared > MostShared ? $"{kernel} has more than {MostShared} bytes of shared memory." : null;
    }

    [SkippableTheory]
    [InlineData("float", 90)]
    [InlineData("bfloat16", 90)]
    [InlineData("float16", 75)]
    [InlineData("bfloat16", 75)]
    public void RowsAreReadAndWrittenSixteenBytesAtATime(string type, int architecture)
    {
        var nvrtc = Tools.RequireNvrtc();
        var source = new KernelSource(64, CudaElement.All.Single(element => element.CudaType == type));
        var ptx = nvrtc.Compile(source.Text, source.ToString(), architecture).Ptx;

        Assert.Matches(VectorLoad(), PtxOf(ptx, "shard_sum"));
        Assert.Matches(VectorLoad(), PtxOf(ptx, "add_tiled"));
        Assert.Matches(VectorStore(), PtxOf(ptx, "add_tiled"));
        Assert.Matches(VectorLoad(), PtxOf(ptx, "forward_few_rows"));
        Assert.Matches(VectorLoad(), PtxOf(ptx, "backward_few_rows"));
        if (source.Element.HasTensorCores)
        {
            Assert.Matches(VectorLoad(), PtxOf(ptx, "forward_few_rounded"));
            Assert.Matches(VectorStore(), PtxOf(ptx, "forward_few_rounded"));
            Assert.Matches(VectorLoad(), PtxOf(ptx, "backward_few_rounded"));
            // Compute capability 7.5 has tensor cores for float16, half as deep a step at a time.
            var product = (architecture, type) switch { (>= 80, "bfloat16") => "m16n8k16.row.col.f32.bf16.bf16.f32", (>= 80, _) => "m16n8k16.row.col.f32.f16.f16.f32", (_, "float16") => "m16n8k8.row.col.f32.f16.f16.f32", _ => null };
            foreach (var kernel in new[] { "forward_few_rounded", "backward_few_rounded" })
            {
                if (product is not null) Assert.Contains($"mma.sync.aligned.{product}", PtxOf(ptx, kernel), StringComparison.Ordinal);
                else Assert.DoesNotContain("mma.sync", PtxOf(ptx, kernel), StringComparison.Ordinal);
            }
        }
        Assert.DoesNotContain(".local", ptx, StringComparison.Ordinal);
        Assert.DoesNotContain(".f64", ptx, StringComparison.Ordinal);
        Assert.Equal(type == "bfloat16" && architecture >= 80, ptx.Contains("cvt.rn.bf16.f32", StringComparison.Ordinal));
    }

    [SkippableTheory]
    [InlineData(16, "float", 75)]
    [InlineData(100, "bfloat16", 80)]
    [InlineData(64, "float16", 90)]
    public void ClangReadsTheSameSource(int shardSize, string type, int architecture)
    {
        var source = new KernelSource(shardSize, CudaElement.All.Single(element => element.CudaType == type)).Text;
        var ptx = ClangPtx(source, architecture);
        Assert.All(KernelSource.KernelsOf(source), kernel => Assert.Contains($".entry {kernel}(", ptx, StringComparison.Ordinal));
        Assert.Matches(VectorLoad(), PtxOf(ptx, "shard_sum"));
    }

    /// <summary>What clang makes of a source, every warning an error.</summary>
    internal static string ClangPtx(string source, int architecture)
    {
        Tools.Require("clang-19");
        var file = Path.Combine(Directory.CreateTempSubdirectory("fossil-clang-").FullName, "kernels.cu");
        File.WriteAllText(file, source);
        Tools.Run(
            "clang-19", "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", $"--cuda-gpu-arch=sm_{architecture}", "--cuda-feature=+ptx80", "-std=c++17", "-O2", "-S", "-Wall", "-Werror", "-Wno-unknown-cuda-version",
            "-Wno-pass-failed", "-include", Path.Combine(AppContext.BaseDirectory, "Native", "clang.h"), file, "-o", Path.ChangeExtension(file, "ptx"));
        return File.ReadAllText(Path.ChangeExtension(file, "ptx"));
    }

    [SkippableFact]
    public void WhatDoesNotCompileIsNamedWithTheCompilersLog()
    {
        var nvrtc = Tools.RequireNvrtc();
        var exception = Assert.Throws<CudaException>(() => nvrtc.Compile("extern \"C\" __global__ void broken() { undeclared = 1; }", "a broken kernel", 90));
        Assert.Contains("a broken kernel", exception.Message, StringComparison.Ordinal);
        Assert.Contains("undeclared", exception.Message, StringComparison.Ordinal);
        Assert.Contains("NVRTC_ERROR_COMPILATION", exception.Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void ADeviceThatNvrtcDoesNotKnowGetsPtxAndATooOldOneAnError()
    {
        var nvrtc = Tools.RequireNvrtc();
        const string Source = "extern \"C\" __global__ void nothing() { }";
        Assert.StartsWith("//", System.Text.Encoding.UTF8.GetString(nvrtc.Compile(Source, "nothing", 999).Image), StringComparison.Ordinal);
        Assert.Contains("3.0", Assert.Throws<CudaException>(() => nvrtc.Compile(Source, "nothing", 30)).Message, StringComparison.Ordinal);
    }

    private static int BlocksOf(string source, string kernel) => int.Parse(Regex.Match(source, $@"__launch_bounds__\(Threads, (\d+)\) {kernel}\(").Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);

    internal static string PtxOf(string ptx, string kernel)
    {
        var start = ptx.IndexOf($".entry {kernel}(", StringComparison.Ordinal);
        var end = ptx.IndexOf(".entry ", start + 1, StringComparison.Ordinal);
        return end < 0 ? ptx[start..] : ptx[start..end];
    }

    [GeneratedRegex(@"ld\.global(\.nc)?\.(L\w+::\w+\.)*v4\.[bufs]32|ld\.global(\.nc)?\.v2\.[bufs]64")]
    internal static partial Regex VectorLoad();

    [GeneratedRegex(@"st\.global\.v4\.[bufs]32|st\.global\.v2\.[bufs]64")]
    internal static partial Regex VectorStore();
}
