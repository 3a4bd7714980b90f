using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>What is measured on.</summary>
internal static class Machine
{
    // What is read must not come from a cache.
    private const long CachesAtOnce = 8, Rounds = 7;

    // How many rows a thread reads at once, far from each other.
    private static readonly int[] Streams = [1, 2, 4, 8];

    /// <summary>The processor, with what tells its generations apart.</summary>
    public static string Processor()
    {
        var fields = File.ReadLines("/proc/cpuinfo").TakeWhile(line => line.Length > 0).Select(line => line.Split(':', 2)).Where(parts => parts.Length == 2).ToDictionary(parts => parts[0].Trim(), parts => parts[1].Trim());
        return $"{fields["model name"]} (family {fields["cpu family"]}, model {fields["model"]}), {LastCache() >> 20} MB of cache";
    }

    public static string Commit() => Git("rev-parse", "--short=10", "HEAD") + (Git("status", "--porcelain", "--untracked-files=no").Length > 0 ? "+" : "");

    /// <summary>Bytes a nanosecond (GB/s) that libtorch's threads together read from memory, at best: each in one stream or in several at once, whichever is fastest.</summary>
    public static double ReadBandwidth()
    {
        const int columns = 1 << 14;
        var rows = Math.Max(CachesAtOnce * LastCache(), 1L << 28) / (columns * sizeof(float));
        using var buffer = ones(rows, columns);
        using var sums = zeros(rows, 1);
        var best = double.PositiveInfinity;
        foreach (var streams in Streams)
        {
            var kernel = new Sums(KernelMatrix.Of(buffer), KernelMatrix.Of(sums), streams);
            for (var round = 0; round < Rounds; round++) best = Math.Min(best, Turns.Time(() => KernelRows.Run(rows / streams, columns * streams, kernel)));
        }

        return rows * columns * sizeof(float) / (best * 1e6);
    }

    private static long LastCache()
    {
        var caches = Directory.GetDirectories("/sys/devices/system/cpu/cpu0/cache", "index*").Select(index => File.ReadAllText(Path.Combine(index, "size")).Trim());
        return caches.Max(size => long.Parse(size[..^1], CultureInfo.InvariantCulture) * (size[^1] == 'M' ? 1L << 20 : 1L << 10));
    }

    private static string Git(params string[] arguments)
    {
        using var git = Process.Start(new ProcessStartInfo("git", arguments) { RedirectStandardOutput = true })!;
        var answer = git.StandardOutput.ReadToEnd().Trim();
        git.WaitForExit();
        return answer;
    }

    /// <summary>Its "rows" are groups of rows.</summary>
    private readonly struct Sums(KernelMatrix buffer, KernelMatrix sums, int streams) : IRowKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var (apart, most) = (buffer.Rows / streams, (nuint)buffer.Columns);
            for (var group = first; group < end; group++)
            {
                var (a, b, c, d) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
                for (nuint i = 0; i < most; i += 64)
                {
                    for (var stream = 0; stream < streams; stream++)
                    {
                        ref var source = ref buffer.Row<float>(group + (stream * apart));
                        a += Vector512.LoadUnsafe(ref source, i);
                        b += Vector512.LoadUnsafe(ref source, i + 16);
                        c += Vector512.LoadUnsafe(ref source, i + 32);
                        d += Vector512.LoadUnsafe(ref source, i + 48);
                    }
                }

                sums.Row<float>(group) = Vector512.Sum(a + b + (c + d));
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(sums, row);
    }
}
