using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Fossil.Cuda.Native;
using Fossil.Serialization;

namespace Fossil.Cuda.Tests;

/// <summary>All emitted sources for all architectures, and the table of docs/cuda.md: what <c>tools/cuda-check/matrix.sh</c> runs.</summary>
public sealed class MatrixTests
{
    [SkippableFact]
    public void EverySourceForEveryArchitecture()
    {
        var named = Environment.GetEnvironmentVariable("FOSSIL_CUDA_MATRIX");
        Skip.If(string.IsNullOrEmpty(named), "tools/cuda-check/matrix.sh runs it: it takes more than an hour.");
        var nvrtc = Tools.RequireNvrtc();
        var sizes = named!.Split(',').SelectMany(Sizes).ToArray();
        var sources = sizes.SelectMany(size => CudaElement.All.Select(element => new KernelSource(size, element))).Select(source => (Name: source.ToString(), source.Text))
            .Concat(CudaElement.All.Select(element => (Name: $"decoders, {element.CudaType}", Text: CudaDecoderSource.Of(element))))
            .Concat(CudaEncodedFormat.All.SelectMany(format => CudaElement.All.Select(element => (Name: $"{format.Name}, {element.CudaType}", Text: CudaEncodedSource.Of(format, element, CudaElement.All[0]))))).Append((Name: "optimizer", Text: CudaOptimizerLaunches.Source)).ToArray();
        var results = new ConcurrentBag<(Architecture Architecture, CompiledKernel Kernel)>();
        var misfits = new ConcurrentBag<string>();
        // The compiler does not wait for anything: more threads than processors (taskset says how many) only take memory.
        Parallel.ForEach(sources, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, source =>
        {
            foreach (var architecture in Architecture.All)
            {
                var kernels = CompiledKernel.Of(LogOf(nvrtc, source.Text, source.Name, architecture.Number));
                if (!kernels.Select(kernel => kernel.Name).Order().SequenceEqual(KernelSource.KernelsOf(source.Text).Order())) misfits.Add($"{source.Name}, sm_{architecture.Number}: the log has other kernels than the source");
                foreach (var kernel in kernels)
                {
                    if (CompilerTests.Misfit(source.Text, kernel) is { } misfit) misfits.Add($"{source.Name}, sm_{architecture.Number}: {misfit}");
                    results.Add((architecture, kernel));
                }
            }
        });
        Assert.Empty(misfits);
        Write([.. results], sources.Length, [.. sizes.Order()]);
    }

    /// <summary>The compiler's log, kept beside NVRTC under the hash of what it depends on: a run that was broken off goes on where it was, and after a change only other sources are compiled.</summary>
    private static string LogOf(Nvrtc nvrtc, string text, string name, int architecture)
    {
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{text}\0{architecture}\0{nvrtc.Version}")));
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(Tools.Repository, "artifacts", "cuda-matrix")).FullName, key + ".log");
        if (!File.Exists(path)) AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(nvrtc.Compile(text, name, architecture, "--ptxas-options=-v").Log)));
        return File.ReadAllText(path);
    }

    /// <summary>For each kernel and architecture the most that a source needs, and the occupancy that leaves.</summary>
    private static void Write(IReadOnlyCollection<(Architecture Architecture, CompiledKernel Kernel)> results, int sources, int[] sizes)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{sources} sources (shard sizes {string.Join(", ", Ranges(sizes))}; the kernels of decoders, and those of {CudaEncodedFormat.All.Length} formats of weights, three element types each; the optimizer's), no spills and no local memory in any. The most that one needs, of 256 threads a block, and the share of a multiprocessor's threads that are then resident; `tools/cuda-check/matrix.sh {string.Join(',', Ranges(sizes))}`:\n\n");
        text.Append("| kernel | ").AppendJoin(" | ", Architecture.All.Select(architecture => $"sm_{architecture.Number}")).Append(" |\n| --- |").Append(string.Concat(Architecture.All.Select(_ => " --- |"))).Append('\n');
        foreach (var kernel in results.Select(result => result.Kernel.Name).Distinct().Order())
        {
            text.Append(CultureInfo.InvariantCulture, $"| `{kernel}` |");
            foreach (var architecture in Architecture.All)
            {
                var all = results.Where(result => result.Kernel.Name == kernel && result.Architecture == architecture).Select(result => result.Kernel).ToList();
                text.Append(CultureInfo.InvariantCulture, $" {all.Max(one => one.Registers)} registers, {all.Max(one => one.Shared) / 1024.0:0.#} KB, {all.Min(architecture.Occupancy):P0} |");
            }
            text.Append('\n');
        }
        DocumentTable.Write("matrix", text.ToString());
    }

    /// <summary>"16", or "1-64".</summary>
    private static IEnumerable<int> Sizes(string range)
    {
        var ends = range.Split('-').Select(end => int.Parse(end, CultureInfo.InvariantCulture)).ToArray();
        return Enumerable.Range(ends[0], ends[^1] - ends[0] + 1);
    }

    private static IEnumerable<string> Ranges(int[] sizes)
    {
        for (var i = 0; i < sizes.Length;)
        {
            var first = i;
            while (++i < sizes.Length && sizes[i] == sizes[i - 1] + 1) { }
            yield return i - first > 1 ? $"{sizes[first]}-{sizes[i - 1]}" : $"{sizes[first]}";
        }
    }
}

/// <summary>What a multiprocessor of an architecture has (CUDA C++ Programming Guide, technical specifications per compute capability).</summary>
internal sealed record Architecture(int Number, int Threads, int SharedBytes, int ReservedBytes)
{
    private const int Registers = 65536, RegistersOfUnit = 256, Warp = 32, MostBlocks = 16;

    /// <summary>Turing, Ampere, Hopper, and both Blackwells.</summary>
    public static readonly Architecture[] All = [new(75, 1024, 64 << 10, 0), new(80, 2048, 164 << 10, 1024), new(90, 2048, 228 << 10, 1024), new(100, 2048, 228 << 10, 1024), new(120, 1536, 100 << 10, 1024)];

    /// <summary>The share of its threads that blocks of a kernel fill.</summary>
    public double Occupancy(CompiledKernel kernel)
    {
        var ofWarp = (kernel.Registers * Warp + RegistersOfUnit - 1) / RegistersOfUnit * RegistersOfUnit;
        var blocks = Math.Min(MostBlocks, Math.Min(Threads / CudaShardShape.Threads, Registers / (ofWarp * (CudaShardShape.Threads / Warp))));
        return Math.Min(blocks, SharedBytes / (kernel.Shared + ReservedBytes + 1)) * CudaShardShape.Threads / (double)Threads;
    }
}
