namespace Fossil.Training;

/// <summary>
/// Examples one behind another: four bytes and one bit for each token, eight bytes for each example. A million lines of chat fit where objects of their own
/// would need twice the memory.
/// </summary>
internal sealed class TokenStore
{
    private const int ChunkBits = 16;
    private const int ChunkLength = 1 << ChunkBits;

    private readonly List<int[]> tokens = [];
    private readonly List<ulong[]> learned = [];
    private readonly List<long> ends = [];

    /// <summary>Number of examples.</summary>
    public int Count => ends.Count;

    /// <summary>Adds an example; no <paramref name="isLearned"/>: every token is learned.</summary>
    public void Add(ReadOnlySpan<int> ids, ReadOnlySpan<bool> isLearned)
    {
        var start = Start(ends.Count);
        for (var i = 0; i < ids.Length; i++)
        {
            var (chunk, offset) = Place(start + i);
            if (chunk == tokens.Count)
            {
                tokens.Add(new int[ChunkLength]);
                learned.Add(new ulong[ChunkLength / 64]);
            }

            tokens[chunk][offset] = ids[i];
            if (isLearned.IsEmpty || isLearned[i]) learned[chunk][offset / 64] |= 1UL << (offset % 64);
        }

        ends.Add(start + ids.Length);
    }

    /// <summary>Tokens of an example.</summary>
    public int Length(int example) => (int)(ends[example] - Start(example));

    /// <summary>A token of an example, and whether it is learned.</summary>
    public (int Id, bool IsLearned) this[int example, int index]
    {
        get
        {
            var (chunk, offset) = Place(Start(example) + index);
            return (tokens[chunk][offset], (learned[chunk][offset / 64] & (1UL << (offset % 64))) != 0);
        }
    }

    private long Start(int example) => example == 0 ? 0 : ends[example - 1];

    private static (int Chunk, int Offset) Place(long index) => ((int)(index >> ChunkBits), (int)(index & (ChunkLength - 1)));
}
