using System.Diagnostics.CodeAnalysis;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>
/// The keys and values of the tokens that a decoder has seen, so that the next forward pass takes only new tokens. The buffers grow by doubling. A cache is for one thread: that of its text.
/// </summary>
/// <param name="layers">Number of decoder layers.</param>
public sealed class KeyValueCache(int layers) : IDisposable
{
    private readonly Tensor?[] keys = new Tensor?[layers];
    private readonly Tensor?[] values = new Tensor?[layers];
    private bool disposed;

    /// <summary>How many tokens of each sequence are in the cache.</summary>
    public long Length { get; private set; }

    /// <summary>
    /// Appends keys and values (batch, key-value heads, new tokens, head_dim) of one layer and returns all of that layer, (batch, key-value heads, all tokens, head_dim):
    /// views of the buffers, which the caller disposes.
    /// </summary>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor newKeys, Tensor newValues)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        var length = Length + newKeys.size(2);
        return (Store(ref keys[layer], newKeys, length), Store(ref values[layer], newValues, length));
    }

    /// <summary>The ids of the tokens in the cache (batch, tokens), kept for models in which they may have to be computed again; null otherwise.</summary>
    internal Tensor? Ids { get; private set; }

    /// <summary>Keeps the ids of all tokens in the cache.</summary>
    internal void Remember(Tensor ids)
    {
        Ids?.Dispose();
        Ids = ids.alias().DetachFromDisposeScope();
    }

    /// <summary>Forgets all tokens.</summary>
    internal void Restart()
    {
        Ids?.Dispose();
        (Ids, Length) = (null, 0);
    }

    /// <summary>Called once a forward pass has appended to every layer.</summary>
    internal void Advance(long tokens) => Length += tokens;

    /// <summary>Room for one more token of one text in the buffers of a layer, which the caller fills.</summary>
    internal KeyValueRows NextToken(int layer, long heads, long size, ScalarType dtype)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        var (key, value) = (Grow(ref keys[layer], [1, heads, Length + 1, size], dtype, CPU), Grow(ref values[layer], [1, heads, Length + 1, size], dtype, CPU));
        return new(NativeTensor.Data(key), NativeTensor.Data(value), key.size(2), Length);
    }

    private Tensor Store(ref Tensor? buffer, Tensor added, long length)
    {
        using var scope = NewDisposeScope();
        var shape = added.shape;
        Grow(ref buffer, [shape[0], shape[1], length, shape[3]], added.dtype, added.device);
        buffer.narrow(2, Length, shape[2]).copy_(added);
        return buffer.narrow(2, 0, length).MoveToOuterDisposeScope();
    }

    /// <summary>The buffer, with room for what has this shape.</summary>
    private Tensor Grow([NotNull] ref Tensor? buffer, long[] shape, ScalarType dtype, Device device)
    {
        if (buffer is not null && buffer.size(2) >= shape[2]) return buffer;
        using var scope = NewDisposeScope();
        var capacity = Math.Max(shape[2], buffer is null ? 64 : 2 * buffer.size(2));
        var grown = empty([shape[0], shape[1], capacity, shape[3]], dtype: dtype, device: device);
        if (buffer is not null) grown.narrow(2, 0, Length).copy_(buffer.narrow(2, 0, Length));
        buffer?.Dispose();
        return buffer = grown.DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        disposed = true;
        Ids?.Dispose();
        for (var layer = 0; layer < layers; layer++)
        {
            keys[layer]?.Dispose();
            values[layer]?.Dispose();
        }
    }
}

/// <summary>Where the keys and values of a layer lie, rows of head_dim, for each head as many as there is room for.</summary>
/// <param name="Keys">The first key.</param>
/// <param name="Values">The first value.</param>
/// <param name="Capacity">Rows of a head.</param>
/// <param name="Length">Rows of a head that are filled; the next one is free.</param>
internal readonly record struct KeyValueRows(nint Keys, nint Values, long Capacity, long Length);
