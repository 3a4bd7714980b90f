using System.Globalization;

namespace Fossil.TestData;

/// <summary>Bytes of this process that are in memory, as Linux counts them.</summary>
/// <param name="Anonymous">Of its own (RssAnon).</param>
/// <param name="File">Of files that it has mapped (RssFile).</param>
/// <param name="Peak">The most that both were together (VmHWM).</param>
internal readonly record struct ProcessMemory(long Anonymous, long File, long Peak)
{
    /// <summary>Both.</summary>
    public long Resident => Anonymous + File;

    /// <summary>Makes the peak what is in memory now.</summary>
    public static void ResetPeak() => System.IO.File.WriteAllText("/proc/self/clear_refs", "5");

    /// <summary>What it is now.</summary>
    public static ProcessMemory Now()
    {
        var fields = System.IO.File.ReadLines("/proc/self/status").Select(line => line.Split(':', 2)).ToDictionary(parts => parts[0], parts => parts[1].Trim());
        return new(Bytes("RssAnon"), Bytes("RssFile"), Bytes("VmHWM"));

        long Bytes(string name) => long.Parse(fields[name].Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
    }
}
