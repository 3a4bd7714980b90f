using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using static TorchSharp.torch;

namespace Fossil.Tests.Kernels;

/// <summary>What a launch does with the threads that it has: on libtorch's own, and on .NET's where libtorch has none that it can share.</summary>
public sealed class KernelRowsTests
{
    public static TheoryData<int, bool> Threads()
    {
        var cases = new TheoryData<int, bool>();
        foreach (var threads in new[] { 1, 2, 3, 8 })
        {
            if (OpenMPTeam.IsAvailable) cases.Add(threads, false);
            cases.Add(threads, true);
        }
        return cases;
    }

    [Theory, MemberData(nameof(Threads))]
    public void Each_row_runs_once(int threads, bool onThreadPool)
    {
        var counts = new int[100_003];
        KernelRows.Run(counts.Length, 100, new Count(counts, FailAt: -1), threads, onThreadPool);
        Assert.All(counts, count => Assert.Equal(1, count));
    }

    [Theory, MemberData(nameof(Threads))]
    public void What_a_row_throws_reaches_the_caller_and_the_next_launch_works(int threads, bool onThreadPool)
    {
        var counts = new int[100_003];
        for (var repetition = 0; repetition < 3; repetition++)
        {
            Assert.Throws<OutOfMemoryException>(() => KernelRows.Run(counts.Length, 100, new Count(counts, FailAt: 50_000), threads, onThreadPool));
        }
        Array.Clear(counts);
        KernelRows.Run(counts.Length, 100, new Count(counts, FailAt: -1), threads, onThreadPool);
        Assert.All(counts, count => Assert.Equal(1, count));
    }

    /// <summary>The dynamic linker may have mapped other copies before libtorch's, or at lower addresses.</summary>
    [SkippableFact]
    public void Threads_are_those_of_the_OpenMP_library_that_libtorch_uses()
    {
        Skip.IfNot(OpenMPTeam.IsAvailable, "libtorch has no GNU OpenMP here.");
        using var started = ones(1);
        var own = Mapping(OpenMPTeam.Find());
        var folder = Directory.CreateTempSubdirectory("fossil-openmp-");
        for (var copy = 0; copy < 4; copy++)
        {
            var path = Path.Combine(folder.FullName, $"libgomp-{copy}.so.1");
            File.Copy(own, path);
            NativeLibrary.Load(path);
        }
        // What is loaded stays so without its file.
        folder.Delete(recursive: true);

        Assert.Equal(own, Mapping(OpenMPTeam.Find()));
        Assert.Equal(Path.GetDirectoryName(own), Path.GetDirectoryName(Maps().Select(map => map.Path).First(path => Path.GetFileName(path) == "libtorch_cpu.so")));

        static string Mapping(nint address) => Maps().First(map => (ulong)address >= map.Start && (ulong)address < map.End).Path;

        static IEnumerable<(ulong Start, ulong End, string Path)> Maps() => File.ReadLines("/proc/self/maps").Where(line => line.Contains('/', StringComparison.Ordinal)).Select(line =>
        {
            var addresses = line.Split(' ', 2)[0].Split('-');
            return (Convert.ToUInt64(addresses[0], 16), Convert.ToUInt64(addresses[1], 16), line[line.IndexOf('/', StringComparison.Ordinal)..]);
        });
    }

    [Fact]
    public unsafe void Scratch_memory_survives_an_allocation_that_fails()
    {
        using (var small = KernelScratch.Take(100)) new Span<float>(small.Floats, 100).Fill(1);
        Assert.Throws<OutOfMemoryException>(() => { using var huge = KernelScratch.Take(long.MaxValue / sizeof(float)); });
        using (var again = KernelScratch.Take(50)) new Span<float>(again.Floats, 50).Fill(2);
    }

    [Fact]
    public unsafe void Scratch_memory_that_is_in_use_is_not_given_out_again()
    {
        using var outer = KernelScratch.Take(100);
        using var inner = KernelScratch.Take(100);
        Assert.True(outer.Floats != inner.Floats);
        Assert.Equal(0, (nint)inner.Floats % 64);
    }

    [Fact]
    public void A_thread_keeps_little_scratch_memory()
    {
        using (KernelScratch.Take(10 * KernelScratch.KeptCount))
        {
            Assert.Equal(0, KernelScratch.CountOfThread);
        }
        Assert.Equal(0, KernelScratch.CountOfThread);

        using (KernelScratch.Take(1000))
        {
        }
        Assert.Equal(1000, KernelScratch.CountOfThread);
    }

    private readonly record struct Count(int[] Counts, long FailAt) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                if (row == FailAt) throw new OutOfMemoryException();
                Interlocked.Increment(ref Counts[row]);
            }
        }

        public unsafe void DeclareWrites(long row, KernelWrites writes) => throw new NotSupportedException("Its array may move.");
    }
}
