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
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Examples} examples, {Cut} cut, {Dropped} dropped: {Sequences} sequences, {Padded} of them shorter than the longest, {Tokens} tokens, {LossTokens} of them learned, {DroppedTokens} dropped";
}

/// <summary>Sequences of tokens in memory, for causal language models.</summary>
public sealed class TokenData : ITrainingData<TokenBatch>
{
    private readonly IReadOnlyList<TokenExample> sequences;
    private readonly int paddingId;

    private TokenData(IReadOnlyList<TokenExample> sequences, int paddingId, string description, TokenDataReport report)
    {
        this.sequences = sequences;
        this.paddingId = paddingId;
        var longest = sequences.Max(sequence => sequence.InputIds.Length);
        Description = description;
        Report = report with
        {
            Sequences = sequences.Count,
            Padded = sequences.Count(sequence => sequence.InputIds.Length < longest),
            Tokens = sequences.Sum(sequence => (long)sequence.InputIds.Length),
            LossTokens = sequences.Sum(LossTokens),
        };
        Fingerprint = Hash(sequences);
    }

    /// <inheritdoc/>
    public int Count => sequences.Count;

    /// <inheritdoc/>
    public string Description { get; }

    /// <inheritdoc/>
    public string Fingerprint { get; }

    /// <summary>What became of the examples.</summary>
    public TokenDataReport Report { get; }

    /// <summary>Consecutive windows of a text's tokens; what does not fill the last window is left out.</summary>
    /// <param name="tokens">The tokens of the text.</param>
    /// <param name="length">Tokens of a window, 2 or more.</param>
    /// <param name="description">Where the text comes from, for messages.</param>
    /// <exception cref="TrainingDataException">The text fills no window.</exception>
    public static TokenData FromWindows(ReadOnlySpan<int> tokens, int length, string description)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        var windows = new List<TokenExample>();
        for (var start = 0; start + length <= tokens.Length; start += length) windows.Add(new(tokens.Slice(start, length).ToArray()));
        if (windows.Count == 0) throw new TrainingDataException(description, 0, $"has {tokens.Length} tokens, fewer than one window of {length}. Choose a shorter window or a longer text.");
        return new(windows, 0, description, new(1, 0, 0, 0, 0, 0, 0, tokens.Length - windows.Count * (long)length));
    }

    /// <summary>One sequence for each example, cut to a length and padded in batches, or several examples packed into windows.</summary>
    /// <param name="examples">The examples.</param>
    /// <param name="maxLength">Tokens of the longest sequence, 2 or more.</param>
    /// <param name="paddingId">The token that fills up batches.</param>
    /// <param name="description">Where the examples come from, for messages.</param>
    /// <param name="pack">
    /// Whether short examples are put one behind the other into windows of up to <paramref name="maxLength"/> tokens, first fit, in their order.
    /// Less is padded then; an example sees the ones before it in its window.
    /// </param>
    /// <exception cref="TrainingDataException">No example has a token to learn.</exception>
    public static TokenData FromExamples(IEnumerable<TokenExample> examples, int maxLength, int paddingId, string description, bool pack = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 2);
        int given = 0, cut = 0, dropped = 0;
        long droppedTokens = 0;
        var kept = new List<TokenExample>();
        foreach (var example in examples)
        {
            given++;
            var fitting = example;
            if (example.InputIds.Length > maxLength)
            {
                cut++;
                fitting = new(example.InputIds[..maxLength], example.IsLearned?[..maxLength]);
            }

            if (LossTokens(fitting) == 0)
            {
                dropped++;
                droppedTokens += example.InputIds.Length;
                continue;
            }

            droppedTokens += example.InputIds.Length - fitting.InputIds.Length;
            kept.Add(fitting);
        }

        if (kept.Count == 0) throw new TrainingDataException(description, 0, $"none of the {given} examples has a token to learn within {maxLength} tokens.");
        return new(pack ? Pack(kept, maxLength) : kept, paddingId, description, new(given, cut, dropped, 0, 0, 0, 0, droppedTokens));
    }

    /// <summary>The sequences but the last ones, to learn from, and the last ones, to evaluate on.</summary>
    /// <param name="heldOut">How many are held out; at least 1, and fewer than there are.</param>
    public (TokenData Training, TokenData HeldOut) Split(int heldOut)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(heldOut, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(heldOut, Count);
        TokenData Part(IEnumerable<TokenExample> part, string which) => new([.. part], paddingId, $"{Description} ({which} {heldOut})", Report);
        return (Part(sequences.SkipLast(heldOut), "without the last"), Part(sequences.TakeLast(heldOut), "the last"));
    }

    /// <inheritdoc/>
    public TokenBatch GetBatch(IReadOnlyList<int> indices)
    {
        var length = indices.Max(index => sequences[index].InputIds.Length);
        var ids = new long[indices.Count * length];
        Array.Fill(ids, paddingId);
        List<long> positions = [], targets = [];
        long tokens = 0;
        for (var row = 0; row < indices.Count; row++)
        {
            var (input, learned) = sequences[indices[row]];
            tokens += input.Length;
            for (var i = 0; i < input.Length; i++)
            {
                ids[row * length + i] = input[i];
                if (i == 0 || learned?[i] == false) continue;
                positions.Add(row * length + i - 1);
                targets.Add(input[i]);
            }
        }

        return new(tensor(ids, [indices.Count, length]), tensor(positions), tensor(targets), tokens);
    }

    /// <summary>The first token of a sequence is predicted by nothing.</summary>
    private static long LossTokens(TokenExample example) =>
        example.IsLearned is null ? example.InputIds.Length - 1 : example.IsLearned.Skip(1).LongCount(learned => learned);

    private static List<TokenExample> Pack(List<TokenExample> examples, int maxLength)
    {
        var windows = new List<List<TokenExample>>();
        var room = new List<int>();
        var firstOpen = 0;
        foreach (var example in examples)
        {
            var window = firstOpen;
            while (window < windows.Count && room[window] < example.InputIds.Length) window++;
            if (window == windows.Count)
            {
                windows.Add([]);
                room.Add(maxLength);
            }

            windows[window].Add(example);
            room[window] -= example.InputIds.Length;
            while (firstOpen < windows.Count && room[firstOpen] < 2) firstOpen++;
        }

        return windows.Select(Join).ToList();
    }

    /// <summary>The first token of a later example is not to be predicted from the example before it.</summary>
    private static TokenExample Join(List<TokenExample> window) => new(
        window.SelectMany(example => example.InputIds).ToArray(),
        window.SelectMany(example => example.InputIds.Select((_, i) => i > 0 && example.IsLearned?[i] != false)).ToArray());

    private static string Hash(IEnumerable<TokenExample> sequences)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (ids, learned) in sequences)
        {
            var bytes = new byte[sizeof(int) * (ids.Length + 1) + ids.Length];
            BinaryPrimitives.WriteInt32LittleEndian(bytes, ids.Length);
            for (var i = 0; i < ids.Length; i++)
            {
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(sizeof(int) * (i + 1)), ids[i]);
                bytes[sizeof(int) * (ids.Length + 1) + i] = learned?[i] == false ? (byte)0 : (byte)1;
            }

            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
