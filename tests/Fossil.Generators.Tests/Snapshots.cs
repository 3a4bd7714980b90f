using Snapshooter.Xunit;

namespace Fossil.Generators.Tests;

/// <summary>The only place that knows the snapshot library. A snapshot lies in <c>__snapshots__</c> beside the test; delete it to accept new output.</summary>
internal static class Snapshots
{
    /// <summary>Compares <paramref name="text"/> with the snapshot of that name.</summary>
    public static void Match(string text, string name) => Snapshot.Match(text, name);
}
