using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;

namespace Fossil.Models.Kernels;

/// <summary>The attention of one token over the cache, which is read where it lies. Its "rows" are query heads. It rounds as <see cref="AttentionForward{T}"/> does.</summary>
/// <param name="queries">Turned queries (heads, head_dim).</param>
/// <param name="cache">Keys and values, those of the token included.</param>
/// <param name="parts">The sizes.</param>
/// <param name="first">The first token that is seen.</param>
/// <param name="seen">How many are.</param>
/// <param name="scores">Room for <paramref name="columns"/> numbers a head.</param>
/// <param name="columns"><paramref name="seen"/> in whole vectors.</param>
/// <param name="output">Receives the heads' outputs (heads, head_dim).</param>
internal readonly unsafe struct OneTokenAttention<T>(float* queries, KeyValueRows cache, AttentionParts parts, long first, long seen, float* scores, long columns, float* output) : IRowKernel
    where T : unmanaged
{
    private const int TokensAtOnce = 4, VectorsAtOnce = 4;

    public void Run(long firstHead, long endHead)
    {
        var (size, group) = (parts.Size, parts.Heads / parts.KeyValueHeads);
        var scale = (float)(1 / Math.Sqrt(size));
        for (var head = firstHead; head < endHead; head++)
        {
            var place = ((head / group * cache.Capacity) + first) * size;
            var ownScores = scores + (head * columns);
            Score(queries + (head * size), scale, (T*)cache.Keys + place, ownScores);
            var largest = AttentionScores.Largest(ownScores, 0, (nint)seen);
            var sum = AttentionScores.Exponentiate<T, float>(ownScores, 1, largest, 0, (nint)seen, (nint)columns, ownScores);
            Weigh(ownScores, 1 / sum, (T*)cache.Values + place, output + (head * size));
        }
    }

    public void DeclareWrites(long row, KernelWrites writes)
    {
        writes.Add(scores + (row * columns), columns);
        writes.Add(output + (row * parts.Size), parts.Size);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Score(float* query, float scale, T* keys, float* to)
    {
        var size = (nuint)parts.Size;
        long token = 0;
        for (; token + TokensAtOnce <= seen; token += TokensAtOnce, keys += TokensAtOnce * size)
        {
            Vector512<float> a = default, b = default, c = default, d = default;
            for (nuint i = 0; i < size; i += Lanes.Count)
            {
                var q = Vector512.Load(query + i) * scale;
                a = Vector512.FusedMultiplyAdd(q, Lanes.Load(ref *keys, i), a);
                b = Vector512.FusedMultiplyAdd(q, Lanes.Load(ref *keys, i + size), b);
                c = Vector512.FusedMultiplyAdd(q, Lanes.Load(ref *keys, i + (2 * size)), c);
                d = Vector512.FusedMultiplyAdd(q, Lanes.Load(ref *keys, i + (3 * size)), d);
            }

            (to[token], to[token + 1], to[token + 2], to[token + 3]) = (Vector512.Sum(a), Vector512.Sum(b), Vector512.Sum(c), Vector512.Sum(d));
        }

        for (; token < seen; token++, keys += size)
        {
            Vector512<float> a = default;
            for (nuint i = 0; i < size; i += Lanes.Count) a = Vector512.FusedMultiplyAdd(Vector512.Load(query + i) * scale, Lanes.Load(ref *keys, i), a);
            to[token] = Vector512.Sum(a);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Weigh(float* weights, float scale, T* values, float* to)
    {
        var size = (nuint)parts.Size;
        nuint i = 0;
        for (; i + (VectorsAtOnce * Lanes.Count) <= size; i += VectorsAtOnce * Lanes.Count)
        {
            Vector512<float> a = default, b = default, c = default, d = default;
            var row = values + i;
            for (long token = 0; token < seen; token++, row += size)
            {
                var weight = Vector512.Create(weights[token]);
                a = Vector512.FusedMultiplyAdd(weight, Lanes.Load(ref *row, 0), a);
                b = Vector512.FusedMultiplyAdd(weight, Lanes.Load(ref *row, Lanes.Count), b);
                c = Vector512.FusedMultiplyAdd(weight, Lanes.Load(ref *row, 2 * Lanes.Count), c);
                d = Vector512.FusedMultiplyAdd(weight, Lanes.Load(ref *row, 3 * Lanes.Count), d);
            }

            Lanes.Round<T>(a * scale).Store(to + i);
            Lanes.Round<T>(b * scale).Store(to + i + Lanes.Count);
            Lanes.Round<T>(c * scale).Store(to + i + (2 * Lanes.Count));
            Lanes.Round<T>(d * scale).Store(to + i + (3 * Lanes.Count));
        }

        for (; i < size; i += Lanes.Count)
        {
            Vector512<float> a = default;
            var row = values + i;
            for (long token = 0; token < seen; token++, row += size) a = Vector512.FusedMultiplyAdd(Vector512.Create(weights[token]), Lanes.Load(ref *row, 0), a);
            Lanes.Round<T>(a * scale).Store(to + i);
        }
    }
}
