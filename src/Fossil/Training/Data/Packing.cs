using System.Numerics;

namespace Fossil.Training;

/// <summary>Which examples share a sequence.</summary>
/// <param name="Examples">Numbers of the examples, sequence by sequence.</param>
/// <param name="Ends">For each sequence where its examples end in <paramref name="Examples"/>.</param>
internal sealed record Packing(int[] Examples, int[] Ends)
{
    /// <summary>A sequence for each example.</summary>
    public static Packing Single(int count) => new([.. Enumerable.Range(0, count)], [.. Enumerable.Range(1, count)]);

    /// <summary>
    /// Best fit, longest first: each example goes where the least room is left behind it. Sequences stand in the order of their first examples, and so do the examples
    /// in a sequence, so that the last sequences are not the short ones.
    /// </summary>
    /// <param name="lengths">Tokens of each example, at most <paramref name="capacity"/>.</param>
    /// <param name="capacity">Tokens of a sequence.</param>
    public static Packing BestFit(IReadOnlyList<int> lengths, int capacity)
    {
        var sequenceOf = new int[lengths.Count];
        var (rooms, count) = (new OpenSequences(capacity), 0);
        foreach (var example in LongestFirst(lengths, capacity))
        {
            var (sequence, room) = rooms.TakeTightest(lengths[example]) ?? (count++, capacity);
            sequenceOf[example] = sequence;
            rooms.Put(sequence, room - lengths[example]);
        }

        return InOrder(sequenceOf, count);
    }

    /// <summary>The examples' numbers by their lengths, equal ones in their order (a counting sort).</summary>
    private static int[] LongestFirst(IReadOnlyList<int> lengths, int capacity)
    {
        var places = new int[capacity + 2];
        foreach (var length in lengths) places[capacity - length + 1]++;
        for (var i = 1; i < places.Length; i++) places[i] += places[i - 1];
        var sorted = new int[lengths.Count];
        for (var example = 0; example < sorted.Length; example++) sorted[places[capacity - lengths[example]]++] = example;
        return sorted;
    }

    private static Packing InOrder(int[] sequenceOf, int count)
    {
        var (rankOf, ends, next) = (new int[count], new int[count], 0);
        Array.Fill(rankOf, -1);
        foreach (var sequence in sequenceOf)
        {
            if (rankOf[sequence] < 0) rankOf[sequence] = next++;
            ends[rankOf[sequence]]++;
        }

        for (var rank = 1; rank < count; rank++) ends[rank] += ends[rank - 1];
        var places = new int[count];
        for (var rank = 1; rank < count; rank++) places[rank] = ends[rank - 1];
        var examples = new int[sequenceOf.Length];
        for (var example = 0; example < sequenceOf.Length; example++) examples[places[rankOf[sequenceOf[example]]]++] = example;
        return new(examples, ends);
    }

    /// <summary>Sequences by the room that is left in them; one bit for each room tells whether there are any, so that the tightest is found in a few words.</summary>
    private sealed class OpenSequences(int capacity)
    {
        private readonly Stack<int>?[] byRoom = new Stack<int>?[capacity + 1];
        private readonly ulong[] isOpen = new ulong[(capacity / 64) + 1];

        public void Put(int sequence, int room)
        {
            if (room == 0) return;
            (byRoom[room] ??= new()).Push(sequence);
            isOpen[room / 64] |= 1UL << (room % 64);
        }

        public (int Sequence, int Room)? TakeTightest(int length)
        {
            var word = length / 64;
            var open = isOpen[word] & (ulong.MaxValue << (length % 64));
            while (open == 0)
            {
                if (++word == isOpen.Length) return null;
                open = isOpen[word];
            }

            var room = (word * 64) + BitOperations.TrailingZeroCount(open);
            var sequence = byRoom[room]!.Pop();
            if (byRoom[room]!.Count == 0) isOpen[word] &= ~(1UL << (room % 64));
            return (sequence, room);
        }
    }
}
