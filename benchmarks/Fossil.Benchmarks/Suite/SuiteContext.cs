namespace Fossil.Benchmarks;

/// <summary>What all parts of the suite need.</summary>
/// <param name="Source">The model's files.</param>
/// <param name="IsShort">Whether fewer rounds are taken.</param>
/// <param name="Bandwidth">GB/s that are read from memory.</param>
/// <param name="Earlier">A commit whose frozen step is measured beside today's; null for none.</param>
internal sealed record SuiteContext(Base Source, bool IsShort, double Bandwidth, string? Earlier)
{
    /// <summary>Milliseconds that so many bytes take at that bandwidth.</summary>
    public double MillisecondsOf(double bytes) => bytes / (Bandwidth * 1e6);

    /// <summary>How many rounds to take of what has so many in the long form.</summary>
    public int Rounds(int full) => IsShort ? Math.Max(3, full / 3) : full;
}
