using System.Buffers.Binary;
using System.Security.Cryptography;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>One sequence of tokens and which of them the model is to learn.</summary>
/// <param name="InputIds">The tokens.</param>
/// <param name="IsLearned">For each token whether it counts in the loss; null for all.</param>
public sealed record TokenExample(int[] InputIds, bool[]? IsLearned = null);

/// <summary>What became of the examples.</summary>
/// <param name="Examples">Examples given.</param>
/// <param name="Cut">Examples that were longer than the limit: their end is left out.</param>
/// <param name="Dropped">Examples without a learned token, or cut before their first: left out.</param>
/// <param name="Sequences">Sequences that are trained on: the examples, or windows of several.</param>
/// <param name="Padded">Sequences shorter than the longest: batches pad them.</param>
/// <param name="Tokens">Tokens of all sequences.</param>
/// <param name="LossTokens">Tokens of all sequences that count in the loss.</param>
/// <param name="DroppedTokens">Tokens that were cut off or fill no window.</param>
public sealed record TokenDataReport(int Examples, int Cut, int Dropped, int Sequences, int Padded, long Tokens, long LossTokens, long DroppedTokens)
{
    /// <summary>Tokens of padding that all sequences need to be as long as the longest: the most that batches can waste.</summary>
    public long PaddingTokens { get; init; }

    /// <summary>Fields of the data of which nothing is learned or given to the model, each with the number of its examples; empty where there are none.</summary>
    public string IgnoredFields { get; init; } = string.Empty;

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Examples} examples, {Cut} cut, {Dropped} dropped: {Sequences} sequences, {Padded} of them shorter than the longest, {Tokens} tokens, {LossTokens} of them learned, {DroppedTokens} dropped; {PaddingTokens / (double)Math.Max(1, Tokens + PaddingTokens):p1} of the longest sequences is padding{(IgnoredFields.Length == 0 ? "" : $"; ignored fields: {IgnoredFields}")}";
}

/// <summary>Sequences of tokens in memory, for causal language models: one example each, or several that are packed and do not see each other.</summary>
public sealed class TokenData : ITrainingData<TokenBatch>
{
    private readonly TokenStore store;
    private readonly Packing packing;
    private readonly int first;
    private readonly int paddingId;

    private TokenData(TokenStore store, Packing packing, int first, int count, int paddingId, string description, TokenDataReport report)
    {
        (this.store, this.packing, this.first, this.paddingId) = (store, packing, first, paddingId);
        (Count, Description) = (count, description);
        var (longest, padded, tokens, lossTokens) = (0, 0, 0L, 0L);
        for (var sequence = 0; sequence < count; sequence++) longest = Math.Max(longest, Length(sequence));
        for (var sequence = 0; sequence < count; sequence++)
        {
            var length = Length(sequence);
            if (length < longest) padded++;
            tokens += length;
            foreach (var example in ExamplesOf(sequence)) lossTokens += LossTokens(example);
        }

        Report = report with { Sequences = count, Padded = padded, Tokens = tokens, LossTokens = lossTokens, PaddingTokens = (count * (long)longest) - tokens };
        Fingerprint = Hash();
    }

    /// <inheritdoc/>
    public int Count { get; }

    /// <inheritdoc/>
    public string Description { get; }

    /// <inheritdoc/>
    public string Fingerprint { get; }

    /// <summary>What became of the examples.</summary>
    public TokenDataReport Report { get; }

    /// <summary>What the reader of the data files found; of all of them also after <see cref="Split"/>. Null where the examples come from elsewhere.</summary>
    public DataCounts? Counts { get; private init; }

    /// <summary>Consecutive windows of a text's tokens; what does not fill the last window is left out.</summary>
    /// <param name="tokens">The tokens of the text.</param>
    /// <param name="length">Tokens of a window, 2 or more.</param>
    /// <param name="description">Where the text comes from, for messages.</param>
    /// <exception cref="TrainingDataException">The text fills no window.</exception>
    public static TokenData FromWindows(ReadOnlySpan<int> tokens, int length, string description)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        var windows = new TokenStore();
        for (var start = 0; start + length <= tokens.Length; start += length) windows.Add(tokens.Slice(start, length), []);
        if (windows.Count == 0) throw new TrainingDataException(description, 0, $"has {tokens.Length} tokens, fewer than one window of {length}. Choose a shorter window or a longer text.");
        return new(windows, Packing.Single(windows.Count), 0, windows.Count, 0, description, new(1, 0, 0, 0, 0, 0, 0, tokens.Length - (windows.Count * (long)length)));
    }

    /// <summary>One sequence for each example, cut to a length and padded in batches, or several examples packed into one sequence.</summary>
    /// <param name="examples">The examples; they are read once, one at a time.</param>
    /// <param name="maxLength">Tokens of the longest sequence, 2 or more.</param>
    /// <param name="paddingId">The token that fills up batches.</param>
    /// <param name="description">Where the examples come from, for messages.</param>
    /// <param name="pack">
    /// Whether short examples share sequences of up to <paramref name="maxLength"/> tokens, so that little is padded: best fit, longest first.
    /// Packed examples do not see each other: <see cref="TokenBatch.ExampleStarts"/> tells the model where each begins.
    /// </param>
    /// <exception cref="TrainingDataException">No example has a token to learn.</exception>
    public static TokenData FromExamples(IEnumerable<TokenExample> examples, int maxLength, int paddingId, string description, bool pack = false) =>
        FromExamples(examples, maxLength, paddingId, description, pack, counts: null);

    /// <inheritdoc cref="FromExamples(IEnumerable{TokenExample}, int, int, string, bool)"/>
    /// <param name="examples">The examples; they are read once, one at a time.</param>
    /// <param name="maxLength">Tokens of the longest sequence, 2 or more.</param>
    /// <param name="paddingId">The token that fills up batches.</param>
    /// <param name="description">Where the examples come from, for messages.</param>
    /// <param name="pack">Whether short examples share sequences.</param>
    /// <param name="counts">What the reader of <paramref name="examples"/> counts as they are read; null where there is none.</param>
    internal static TokenData FromExamples(IEnumerable<TokenExample> examples, int maxLength, int paddingId, string description, bool pack, DataCounts? counts)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 2);
        int given = 0, cut = 0, dropped = 0;
        long droppedTokens = 0;
        var kept = new TokenStore();
        foreach (var (ids, isLearned) in examples)
        {
            given++;
            if (ids.Length > maxLength) cut++;
            var length = Math.Min(ids.Length, maxLength);
            var learned = isLearned.AsSpan(0, Math.Min(length, isLearned?.Length ?? 0));
            var isKept = isLearned is null ? length > 1 : learned.Length > 1 && learned[1..].Contains(true);
            if (isKept) kept.Add(ids.AsSpan(0, length), learned);
            else dropped++;
            droppedTokens += isKept ? ids.Length - length : ids.Length;
        }

        if (kept.Count == 0) throw new TrainingDataException(description, 0, $"none of the {given} examples has a token to learn within {maxLength} tokens.");
        var packing = pack ? Packing.BestFit([.. Enumerable.Range(0, kept.Count).Select(kept.Length)], maxLength) : Packing.Single(kept.Count);
        return new(kept, packing, 0, packing.Ends.Length, paddingId, description, new(given, cut, dropped, 0, 0, 0, 0, droppedTokens)
        {
            IgnoredFields = string.Join(", ", counts?.IgnoredFields.Select(field => $"{field.Key} ({field.Value})") ?? []),
        }) { Counts = counts };
    }

    /// <summary>The sequences but the last ones, to learn from, and the last ones, to evaluate on.</summary>
    /// <param name="heldOut">How many are held out; at least 1, and fewer than there are.</param>
    public (TokenData Training, TokenData HeldOut) Split(int heldOut)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(heldOut, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(heldOut, Count);
        TokenData Part(int start, int count, string which) => new(store, packing, first + start, count, paddingId, $"{Description} ({which} {heldOut})", Report) { Counts = Counts };
        return (Part(0, Count - heldOut, "without the last"), Part(Count - heldOut, heldOut, "the last"));
    }

    /// <inheritdoc/>
    public TokenBatch GetBatch(IReadOnlyList<int> indices)
    {
        var length = indices.Max(Length);
        var (ids, starts) = (new long[indices.Count * length], new long[indices.Count * length]);
        Array.Fill(ids, paddingId);
        var isPacked = false;
        List<long> positions = [], targets = [];
        long tokens = 0;
        for (var row = 0; row < indices.Count; row++)
        {
            var (at, end) = (row * length, (row + 1) * length);
            foreach (var example in ExamplesOf(indices[row]))
            {
                var start = at;
                isPacked |= start > row * length;
                for (var i = 0; i < store.Length(example); i++, at++)
                {
                    var (id, isLearned) = store[example, i];
                    (ids[at], starts[at]) = (id, start - (row * length));
                    // The first token of an example is predicted by nothing.
                    if (i == 0 || !isLearned) continue;
                    positions.Add(at - 1);
                    targets.Add(id);
                }
            }

            tokens += at - (row * length);
            for (var padding = at; padding < end; padding++) starts[padding] = at - (row * length);
        }

        return new(tensor(ids, [indices.Count, length]), tensor(positions), tensor(targets), tokens) { ExampleStarts = isPacked ? tensor(starts, [indices.Count, length]) : null };
    }

    private int Length(int sequence)
    {
        var length = 0;
        foreach (var example in ExamplesOf(sequence)) length += store.Length(example);
        return length;
    }

    private ReadOnlySpan<int> ExamplesOf(int sequence)
    {
        var end = packing.Ends[first + sequence];
        return packing.Examples.AsSpan((first + sequence == 0 ? 0 : packing.Ends[first + sequence - 1])..end);
    }

    private long LossTokens(int example)
    {
        var count = 0;
        for (var i = 1; i < store.Length(example); i++) count += store[example, i].IsLearned ? 1 : 0;
        return count;
    }

    private string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var sequence = 0; sequence < Count; sequence++)
        {
            var (length, at) = (Length(sequence), 0);
            var bytes = new byte[sizeof(int) * (length + 1) + length];
            BinaryPrimitives.WriteInt32LittleEndian(bytes, length);
            foreach (var example in ExamplesOf(sequence))
            {
                // Where an example begins behind another is part of what is learned.
                if (at > 0) hash.AppendData(BitConverter.GetBytes(at));
                for (var i = 0; i < store.Length(example); i++, at++)
                {
                    var (id, isLearned) = store[example, i];
                    BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(sizeof(int) * (at + 1)), id);
                    bytes[sizeof(int) * (length + 1) + at] = isLearned ? (byte)1 : (byte)0;
                }
            }

            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
