using Snapshooter.Xunit;

namespace Fossil.Generators.Tests;

/// <summary>
/// The only place that knows the snapshot library. A snapshot lies in <c>__snapshots__</c> beside the test. To accept new output, delete it and run with
/// FOSSIL_ACCEPT_SNAPSHOTS=1; otherwise a missing snapshot fails.
/// </summary>
internal static class Snapshots
{
    static Snapshots()
    {
        var accept = Environment.GetEnvironmentVariable("FOSSIL_ACCEPT_SNAPSHOTS") == "1";
        Environment.SetEnvironmentVariable("SNAPSHOOTER_STRICT_MODE", accept ? "off" : "on");
    }

    /// <summary>Compares <paramref name="text"/> with the snapshot of that name.</summary>
    public static void Match(string text, string name) => Snapshot.Match(text, name);
}
