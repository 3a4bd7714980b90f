namespace Fossil.CodeModel.Declarations;

/// <summary>64-bit hashes by which names and declarations are told apart.</summary>
internal static class Fingerprint
{
    /// <summary>FNV-1a's start.</summary>
    public const ulong Empty = 14695981039346656037;

    private const ulong Prime = 1099511628211;

    /// <summary>The hash of a name.</summary>
    public static ulong Of(string text) => Then(Empty, text);

    /// <summary><paramref name="hash"/> followed by a text and its end.</summary>
    public static ulong Then(ulong hash, string text)
    {
        foreach (var character in text) hash = unchecked((hash ^ character) * Prime);
        return unchecked((hash ^ char.MaxValue) * Prime);
    }

    /// <summary><paramref name="hash"/> followed by another.</summary>
    public static ulong Then(ulong hash, ulong next) => Mix(unchecked((hash * Prime) ^ next));

    /// <summary>The hash of several hashes in any order.</summary>
    public static ulong Sum(IEnumerable<ulong> hashes) => hashes.Aggregate(0UL, static (sum, hash) => unchecked(sum + Mix(hash)));

    /// <summary>Spreads a hash over all bits, so that a sum of several depends on each (the finalizer of SplitMix64).</summary>
    public static ulong Mix(ulong hash)
    {
        unchecked
        {
            hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9;
            hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EB;
            return hash ^ (hash >> 31);
        }
    }
}
