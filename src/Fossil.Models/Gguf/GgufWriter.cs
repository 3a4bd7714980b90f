using System.Runtime.InteropServices;
using System.Text;
using Fossil.Models.Gguf.Blocks;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Gguf;

/// <summary>A tensor to be written to a GGUF file.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Type">How its elements are stored: F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0 or MXFP4.</param>
/// <param name="Shape">Its dimensions in PyTorch's order.</param>
/// <param name="Load">Makes the tensor, of any float dtype, when its turn comes; the writer disposes of it.</param>
public sealed record GgufTensorSource(string Name, GgufTensorType Type, IReadOnlyList<long> Shape, Func<Tensor> Load)
{
    /// <summary>Makes the tensor's blocks, (rows, bytes of a row), uint8, which are written as they are; null where <see cref="Load"/> is to be stored.</summary>
    internal Func<Tensor>? LoadBytes { get; init; }
}

/// <summary>Writes GGUF files (version 3) byte for byte as the Python package <c>gguf</c> does. Only one tensor at a time is in memory.</summary>
public static class GgufWriter
{
    private const int Alignment = 32;
    private const long CopyChunk = 1 << 28;

    // Elements that one thread quantises at a time; a multiple of every block length.
    private const int PieceElements = 1 << 15;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The types that are written, for messages.</summary>
    internal static string WrittenTypes => string.Join(", ", new[] { GgufTensorType.F32, GgufTensorType.F16, GgufTensorType.BF16 }.Concat(GgufBlock.WrittenTypes));

    /// <summary>Writes a file atomically.</summary>
    /// <param name="path">The file.</param>
    /// <param name="metadata">The metadata, in this order. A <c>general.alignment</c> is replaced by the writer's own.</param>
    /// <param name="tensors">The tensors, in this order.</param>
    /// <exception cref="GgufException">A name occurs twice, a type is not written here, or a row is no whole number of its blocks.</exception>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is.</exception>
    public static void Save(string path, GgufMetadata metadata, IReadOnlyList<GgufTensorSource> tensors)
    {
        var header = Header(path, metadata, tensors);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            Pad(stream, header.Length);
            foreach (var tensor in tensors) WriteTensor(stream, tensor);
        });
    }

    private static bool IsWritten(GgufTensorType type) => type is GgufTensorType.F32 or GgufTensorType.F16 or GgufTensorType.BF16 || GgufBlock.For(type) is { IsWritten: true };

    private static byte[] Header(string path, GgufMetadata metadata, IReadOnlyList<GgufTensorSource> tensors)
    {
        var pairs = metadata.Where(pair => pair.Key != "general.alignment").ToArray();
        using var buffer = new MemoryStream();
        using var writer = new BinaryWriter(buffer, StrictUtf8, leaveOpen: true);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)pairs.Length);
        foreach (var (key, value) in pairs)
        {
            WriteString(writer, key);
            writer.Write((uint)value.Type);
            WriteValue(writer, value);
        }

        long offset = 0;
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var tensor in tensors)
        {
            if (!names.Add(tensor.Name)) throw new GgufException(GgufError.InvalidName, path, $"two tensors are named '{tensor.Name}'.");
            long[] dimensions = [.. tensor.Shape.Reverse()];
            if (tensor.LoadBytes is null && !IsWritten(tensor.Type))
            {
                throw new GgufException(GgufError.UnsupportedTensorType, path, $"tensor '{tensor.Name}' cannot be written as {tensor.Type}, only as {WrittenTypes}.");
            }

            if (dimensions.Length is 0 or > 4 || dimensions[0] % tensor.Type.Block().Elements != 0 || !tensor.Type.TryGetByteCount(dimensions, out var bytes))
            {
                throw new GgufException(GgufError.InvalidShape, path, $"tensor '{tensor.Name}' of shape [{string.Join(", ", tensor.Shape)}] cannot be written as {tensor.Type}.");
            }

            WriteString(writer, tensor.Name);
            writer.Write((uint)dimensions.Length);
            foreach (var dimension in dimensions) writer.Write((ulong)dimension);
            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset += (bytes + Alignment - 1) / Alignment * Alignment;
        }

        writer.Flush();
        return buffer.ToArray();
    }

    private static void WriteValue(BinaryWriter writer, GgufValue value)
    {
        if (value.Value is Array values)
        {
            writer.Write((uint)value.ElementType!);
            writer.Write((ulong)values.Length);
            foreach (var element in values)
            {
                WriteValue(writer, element as GgufValue ?? GgufValue.Of(element));
            }

            return;
        }

        switch (value.Value)
        {
            case byte v: writer.Write(v); break;
            case sbyte v: writer.Write(v); break;
            case ushort v: writer.Write(v); break;
            case short v: writer.Write(v); break;
            case uint v: writer.Write(v); break;
            case int v: writer.Write(v); break;
            case ulong v: writer.Write(v); break;
            case long v: writer.Write(v); break;
            case float v: writer.Write(v); break;
            case double v: writer.Write(v); break;
            case bool v: writer.Write(v); break;
            default: WriteString(writer, (string)value.Value); break;
        }
    }

    private static void WriteString(BinaryWriter writer, string text)
    {
        var bytes = StrictUtf8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void WriteTensor(Stream stream, GgufTensorSource source)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (source.LoadBytes is { } loadBytes)
        {
            Pad(stream, WriteBytes(stream, loadBytes().cpu()));
            return;
        }

        var tensor = source.Load().detach();
        if (!tensor.shape.SequenceEqual(source.Shape)) throw new GgufException(GgufError.ShapeMismatch, null, $"tensor '{source.Name}' was to have shape [{string.Join(", ", source.Shape)}], but has [{string.Join(", ", tensor.shape)}].");
        var flat = tensor.cpu().to(source.Type.ToTorch() ?? ScalarType.Float32).contiguous().view(-1);
        var elementsAtATime = CopyChunk / flat.ElementSize;
        long written = 0;
        for (long done = 0, count = flat.size(0); done < count; done += elementsAtATime)
        {
            using var piece = flat.narrow(0, done, Math.Min(elementsAtATime, count - done));
            ReadOnlySpan<byte> bytes = GgufBlock.For(source.Type) is { } block ? Quantise(block, MemoryMarshal.Cast<byte, float>(piece.bytes)) : piece.bytes;
            stream.Write(bytes);
            written += bytes.Length;
        }

        Pad(stream, written);
    }

    private static long WriteBytes(Stream stream, Tensor rows)
    {
        var flat = rows.view(-1);
        for (long done = 0; done < flat.size(0); done += CopyChunk)
        {
            using var piece = flat.narrow(0, done, Math.Min(CopyChunk, flat.size(0) - done));
            stream.Write(piece.bytes);
        }

        return flat.size(0);
    }

    /// <summary>A whole number of blocks of <paramref name="values"/>, on all processors.</summary>
    internal static unsafe byte[] Quantise(GgufBlock block, ReadOnlySpan<float> values)
    {
        var bytes = new byte[values.Length / block.Elements * block.Bytes];
        var count = values.Length;
        fixed (float* from = values)
        fixed (byte* to = bytes)
        {
            // By addresses, as a lambda cannot hold what is fixed.
            var (source, destination) = ((nint)from, (nint)to);
            Parallel.For(0, (count + PieceElements - 1) / PieceElements, piece =>
            {
                var first = piece * PieceElements;
                block.Quantise((float*)source + first, (byte*)destination + ((long)first / block.Elements * block.Bytes), Math.Min(PieceElements, count - first));
            });
        }

        return bytes;
    }

    private static void Pad(Stream stream, long written)
    {
        Span<byte> zeros = stackalloc byte[Alignment];
        stream.Write(zeros[..(int)((Alignment - (written % Alignment)) % Alignment)]);
    }
}
