using System.Diagnostics;

namespace Fossil.Fuzz;

/// <summary>Gives damaged files to a reader and checks that it refuses or reads them: no crash, no hang, no allocation that the file's size does not explain.</summary>
/// <param name="target">The reader.</param>
/// <param name="seeds">Undamaged files.</param>
internal sealed class Fuzzer(FuzzTarget target, IReadOnlyList<byte[]> seeds)
{
    /// <summary>What a try may allocate beside a multiple of the file's size: buffers, exceptions, compiled expressions.</summary>
    public const long AllocationConstant = 4 << 20;

    // A name of two bytes in the header becomes objects of a few dozen.
    private const long AllocationFactor = 32;

    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(10);

    /// <summary>Files tried so far.</summary>
    public long Tried { get; private set; }

    /// <summary>Those that were read without an error.</summary>
    public long Accepted { get; private set; }

    /// <summary>The most that a try has allocated beyond its file's size.</summary>
    public long LargestAllocation { get; private set; }

    /// <summary>The seeds for a target: its own, and the golden files where there is such a folder.</summary>
    public static IReadOnlyList<byte[]> Seeds(FuzzTarget target, string? goldenFolder) =>
    [
        .. target.BuiltIn,
        .. goldenFolder is null ? [] : Directory.EnumerateFiles(goldenFolder, target.Pattern, SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(File.ReadAllBytes),
    ];

    /// <summary>Tries the file number <paramref name="number"/>, which is always the same one for the same seeds.</summary>
    /// <exception cref="FuzzFailure">The reader did something that it must not do.</exception>
    public void Try(int number, string path)
    {
        var bytes = Mutator.Mutate(seeds, new Random(number));
        File.WriteAllBytes(path, bytes);
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var clock = Stopwatch.StartNew();
        try
        {
            target.Read(path);
            Accepted++;
        }
        catch (FossilException)
        {
            // A named error is the right answer to a damaged file.
            Tried++;
            Check(number, bytes.Length, clock.Elapsed, GC.GetAllocatedBytesForCurrentThread() - allocated);
            return;
        }
        catch (Exception exception)
        {
            throw new FuzzFailure(number, exception.ToString());
        }

        Tried++;
        Check(number, bytes.Length, clock.Elapsed, GC.GetAllocatedBytesForCurrentThread() - allocated);
    }

    private void Check(int number, long length, TimeSpan elapsed, long allocated)
    {
        LargestAllocation = Math.Max(LargestAllocation, allocated - length);
        if (elapsed > Slow) throw new FuzzFailure(number, $"It took {elapsed.TotalSeconds:F1} seconds.");
        if (allocated > (AllocationFactor * length) + AllocationConstant) throw new FuzzFailure(number, $"It allocated {allocated} bytes for a file of {length}.");
    }
}

/// <summary>A reader did something that it must not do.</summary>
/// <param name="number">The number of the file.</param>
/// <param name="what">What it did.</param>
internal sealed class FuzzFailure(int number, string what) : Exception($"File number {number}: {what}")
{
    /// <summary>The number of the file.</summary>
    public int Number { get; } = number;
}
