using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>Sizes of an attention, and how its work is cut.</summary>
internal readonly struct AttentionShape
{
    /// <summary>Rows of queries that are worked on at a time.</summary>
    public const int RowsAtOnce = 32;

    public AttentionShape(in AttentionInputs inputs)
    {
        (Batch, Tokens, Heads, Size) = (inputs.Batch, inputs.Tokens, inputs.Heads, inputs.Size);
        KeyValueHeads = inputs.KeyValueHeads;
        Group = Heads / KeyValueHeads;
        PaddedTokens = AttentionScores.Columns((nint)Tokens);
        PaddedSize = AttentionScores.Columns((nint)Size);
        // A key-value head with its group is one piece of work; where there are too few of them, a part of the group is. How many decides in which order gradients
        // of keys and values are summed, so that it goes by the processor and not by how many of its threads are in use.
        Parts = 1;
        while (Batch * KeyValueHeads * Parts < 2 * Environment.ProcessorCount && Parts < Group)
        {
            do Parts++;
            while (Group % Parts != 0);
        }
    }

    public long Batch { get; }

    public long Tokens { get; }

    public long Heads { get; }

    public long KeyValueHeads { get; }

    public long Size { get; }

    /// <summary>Query heads of a key-value head.</summary>
    public long Group { get; }

    /// <summary>Into how many pieces of work a group is cut.</summary>
    public long Parts { get; }

    /// <summary>Query heads of a piece of work.</summary>
    public long HeadsOfPiece => Group / Parts;

    /// <summary>Tokens, rounded up to whole panels.</summary>
    public nint PaddedTokens { get; }

    /// <summary>head_dim, rounded up to whole panels.</summary>
    public nint PaddedSize { get; }

    /// <summary>Sequence, key-value head and first query head of a piece of work.</summary>
    public (long Sequence, long KeyValueHead, long FirstHead) Piece(long piece)
    {
        var (head, part) = Math.DivRem(piece, Parts);
        var (sequence, keyValueHead) = Math.DivRem(head, KeyValueHeads);
        return (sequence, keyValueHead, (keyValueHead * Group) + (part * HeadsOfPiece));
    }
}

/// <summary>What both passes of an attention read, and how they read it: heads of float32 or bfloat16 into rows of float32, padded with zeros.</summary>
internal readonly unsafe struct AttentionOperands(AttentionInputs inputs)
{
    private const int CacheLine = 64;

    private readonly AttentionShape shape = new(inputs);
    private readonly long* starts = (long*)inputs.Starts.Address;
    private readonly RotaryAngles angles = new(inputs.Cos, inputs.Sin);

    public AttentionShape Shape => shape;

    /// <summary>(batch · tokens, heads · head_dim).</summary>
    public KernelMatrix Queries { get; } = inputs.Queries;

    /// <summary>(batch · tokens, key-value heads · head_dim).</summary>
    public KernelMatrix Keys { get; } = inputs.Keys;

    /// <summary>As the keys.</summary>
    public KernelMatrix Values { get; } = inputs.Values;

    /// <summary>log Σ exp of each row of scores, (batch · heads, tokens), float32.</summary>
    public KernelMatrix Normalizers { get; } = inputs.Normalizers;

    /// <summary>1 / √head_dim.</summary>
    public float Scale { get; } = (float)(1 / Math.Sqrt(inputs.Size));

    /// <summary>The first column that a row of a sequence sees; never one behind the row itself, whatever the table says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public nint FirstSeen(long sequence, nint row) => starts == null ? 0 : (nint)Math.Clamp(starts[(sequence * shape.Tokens) + row], 0, row);

    /// <summary>The first column that any of the rows sees, rounded down to whole panels.</summary>
    public nint FirstColumn(long sequence, nint start, nint rows)
    {
        if (starts == null) return 0;
        var first = FirstSeen(sequence, start);
        for (nint i = 1; i < rows; i++) first = Math.Min(first, FirstSeen(sequence, start + i));
        return first / PanelProduct.Width * PanelProduct.Width;
    }

    /// <summary>Declares the heads of a piece of work in <paramref name="target"/> (batch · tokens, heads · head_dim).</summary>
    public void DeclareHeads(KernelWrites writes, in KernelMatrix target, long piece)
    {
        var (sequence, _, firstHead) = shape.Piece(piece);
        for (var token = 0L; token < shape.Tokens; token++) writes.Add(target, (sequence * shape.Tokens) + token, firstHead * shape.Size, shape.HeadsOfPiece * shape.Size);
    }

    /// <summary>Declares the key-value head of a piece of work in <paramref name="target"/> (batch · tokens, key-value heads · head_dim).</summary>
    public void DeclareKeyValueHead(KernelWrites writes, in KernelMatrix target, long piece)
    {
        var (sequence, head, _) = shape.Piece(piece);
        for (var token = 0L; token < shape.Tokens; token++) writes.Add(target, (sequence * shape.Tokens) + token, head * shape.Size, shape.Size);
    }

    /// <summary>Declares the normalizers of a piece of work.</summary>
    public void DeclareNormalizers(KernelWrites writes, long piece)
    {
        var (sequence, _, firstHead) = shape.Piece(piece);
        for (var head = firstHead; head < firstHead + shape.HeadsOfPiece; head++) writes.Add(Normalizers, (sequence * shape.Heads) + head);
    }

    /// <summary>A head of a row, turned by the position's angle, into <paramref name="target"/> (head_dim): float32, scaled, or bfloat16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void ReadTurned<T, TTarget>(in KernelMatrix source, long row, long head, float scale, TTarget* target) where T : unmanaged where TTarget : unmanaged
    {
        ref var from = ref Unsafe.Add(ref source.Row<T>(row), (nint)(head * shape.Size));
        var (half, position) = ((nuint)shape.Size / 2, angles.Position(row));
        for (nuint i = 0; i < half; i += Lanes.Count)
        {
            var (a, b) = (Lanes.Load(ref from, i), Lanes.Load(ref from, i + half));
            angles.Turn<T>(position, i, ref a, ref b);
            if (typeof(TTarget) == typeof(float)) (a, b) = (a * scale, b * scale);
            Lanes.StoreRounded(a, target + i);
            Lanes.StoreRounded(b, target + i + half);
        }
    }

    /// <summary>Asks for a head of a row, or for what is there behind the last one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch<T>(in KernelMatrix source, long row, long head) where T : unmanaged
    {
        var from = (T*)Unsafe.AsPointer(ref source.Row<T>(row)) + (head * shape.Size);
        for (nint i = 0; i < (nint)shape.Size; i += CacheLine / sizeof(T)) Sse.Prefetch0(from + i);
    }

    /// <summary>A head of a row as it is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Read<T, TTarget>(in KernelMatrix source, long row, long head, TTarget* target) where T : unmanaged where TTarget : unmanaged
    {
        ref var from = ref Unsafe.Add(ref source.Row<T>(row), (nint)(head * shape.Size));
        for (nuint i = 0; i < (nuint)shape.Size; i += Lanes.Count) Lanes.StoreRounded(Lanes.Load(ref from, i), target + i);
    }

    /// <summary>Writes a scaled gradient of a turned head, turned back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteTurnedBack<T>(float* source, float scale, in KernelMatrix target, long row, long head) where T : unmanaged
    {
        var to = (T*)Unsafe.AsPointer(ref target.Row<T>(row)) + (head * shape.Size);
        var (half, position) = ((nuint)shape.Size / 2, angles.Position(row));
        for (nuint i = 0; i < half; i += Lanes.Count)
        {
            var (a, b) = (Vector512.Load(source + i) * scale, Vector512.Load(source + i + half) * scale);
            angles.TurnBack<T>(position, i, ref a, ref b);
            Lanes.StoreRounded(Lanes.Round<T>(a), to + i);
            Lanes.StoreRounded(Lanes.Round<T>(b), to + i + half);
        }
    }

    /// <summary>Writes a head, scaled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write<T>(float* source, float scale, in KernelMatrix target, long row, long head) where T : unmanaged
    {
        var to = (T*)Unsafe.AsPointer(ref target.Row<T>(row)) + (head * shape.Size);
        for (nuint i = 0; i < (nuint)shape.Size; i += Lanes.Count) Lanes.StoreRounded(Lanes.Round<T>(Vector512.Load(source + i) * scale), to + i);
    }
}
