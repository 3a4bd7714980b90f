using System.Buffers.Binary;
using System.Text;
using static TorchSharp.torch;

namespace Fossil.Serialization;

/// <summary>
/// Writes safetensors files byte for byte as the format's own library does: tensors by dtype, largest first, then by name;
/// metadata first in the header; the header padded with spaces to a multiple of eight bytes.
/// </summary>
public static class SafetensorsWriter
{
    private const long CopyChunk = 1 << 28;
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Writes a file atomically: see <see cref="AtomicFile"/>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Names and tensors, of any device and layout.</param>
    /// <param name="metadata">The header's metadata, in this order; none where null.</param>
    /// <exception cref="SafetensorsException">A name occurs twice or is not possible, or the format has no such dtype.</exception>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is.</exception>
    public static void Save(string path, IEnumerable<(string Name, Tensor Tensor)> tensors, IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        var entries = Describe(tensors, path);
        AtomicFile.Write(path, stream => Write(stream, entries, metadata, path));
    }

    /// <summary>Writes to a stream.</summary>
    /// <inheritdoc cref="Save"/>
    public static void Write(Stream stream, IEnumerable<(string Name, Tensor Tensor)> tensors, IEnumerable<KeyValuePair<string, string>>? metadata = null) =>
        Write(stream, Describe(tensors, null), metadata, null);

    /// <summary>Writes entries whose bytes come from elsewhere than a tensor.</summary>
    internal static void Write(Stream stream, IEnumerable<SafetensorsEntry> entries, IEnumerable<KeyValuePair<string, string>>? metadata, string? path)
    {
        var sorted = Sort(entries, path);
        var header = Header(sorted, metadata, path);
        Span<byte> length = stackalloc byte[SafetensorsHeader.LengthBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (var (_, entry) in sorted) entry.WriteBytes(stream);
    }

    private static List<SafetensorsEntry> Describe(IEnumerable<(string Name, Tensor Tensor)> tensors, string? path)
    {
        var entries = new List<SafetensorsEntry>();
        foreach (var (name, tensor) in tensors)
        {
            var dtype = SafetensorsDtypes.FromTorch(tensor.dtype)
                ?? throw new SafetensorsException(SafetensorsError.UnsupportedDtype, path, $"tensor '{name}' has dtype {tensor.dtype}, which safetensors cannot hold. Convert it first.");
            entries.Add(new SafetensorsEntry(name, dtype, tensor.shape, stream => WriteTensor(stream, tensor)));
        }

        return entries;
    }

    /// <summary>Writes the bytes of a tensor of any device and layout.</summary>
    internal static void WriteTensor(Stream stream, Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var flat = tensor.detach().cpu().contiguous().view(-1);
        var count = flat.size(0);
        if (count == 0) return;
        var chunk = CopyChunk / flat.ElementSize;
        for (long done = 0; done < count; done += chunk)
        {
            using var piece = flat.narrow(0, done, Math.Min(chunk, count - done));
            stream.Write(piece.bytes);
        }
    }

    /// <summary>The file's order, by the names' UTF-8 bytes as the format's library compares them.</summary>
    private static List<(byte[] Name, SafetensorsEntry Entry)> Sort(IEnumerable<SafetensorsEntry> entries, string? path)
    {
        var sorted = entries.Select(entry => (Name: Encode(entry.Name, path), entry)).ToList();
        sorted.Sort((left, right) => left.entry.Dtype != right.entry.Dtype
            ? right.entry.Dtype.CompareTo(left.entry.Dtype)
            : left.Name.AsSpan().SequenceCompareTo(right.Name));
        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataKey };
        foreach (var (_, entry) in sorted)
        {
            if (names.Add(entry.Name)) continue;
            throw entry.Name == SafetensorsHeader.MetadataKey
                ? new SafetensorsException(SafetensorsError.InvalidName, path, $"no tensor can be named {SafetensorsHeader.MetadataKey}.")
                : new SafetensorsException(SafetensorsError.DuplicateName, path, $"two tensors are named '{entry.Name}'.");
        }

        return sorted;
    }

    private static byte[] Header(List<(byte[] Name, SafetensorsEntry Entry)> sorted, IEnumerable<KeyValuePair<string, string>>? metadata, string? path)
    {
        var json = new MemoryStream();
        json.WriteByte((byte)'{');
        if (metadata is not null)
        {
            json.Write("\"__metadata__\":{"u8);
            var separator = false;
            var keys = new HashSet<string>(StringComparer.Ordinal);
            foreach (var (key, value) in metadata)
            {
                if (!keys.Add(key)) throw new SafetensorsException(SafetensorsError.DuplicateName, path, $"the metadata has '{key}' twice.");
                if (separator) json.WriteByte((byte)',');
                separator = true;
                WriteString(json, Encode(key, path));
                json.WriteByte((byte)':');
                WriteString(json, Encode(value, path));
            }

            json.WriteByte((byte)'}');
        }

        long offset = 0;
        foreach (var (name, entry) in sorted)
        {
            if (json.Length > 1) json.WriteByte((byte)',');
            if (!entry.Dtype.TryGetByteCount([.. entry.Shape], out var bytes))
            {
                throw new SafetensorsException(SafetensorsError.ShapeOverflow, path, $"shape [{string.Join(", ", entry.Shape)}] of tensor '{entry.Name}' in {entry.Dtype} is no possible number of bytes.");
            }

            WriteString(json, name);
            json.Write(Encoding.ASCII.GetBytes($":{{\"dtype\":\"{entry.Dtype}\",\"shape\":[{string.Join(',', entry.Shape)}],\"data_offsets\":[{offset},{offset + bytes}]}}"));
            offset += bytes;
        }

        json.WriteByte((byte)'}');
        while (json.Length % SafetensorsHeader.LengthBytes != 0) json.WriteByte((byte)' ');
        return json.Length <= SafetensorsHeader.MaxBytes
            ? json.ToArray()
            : throw new SafetensorsException(SafetensorsError.HeaderTooLarge, path, $"the names and shapes need {json.Length} bytes of header, more than the {SafetensorsHeader.MaxBytes} that safetensors allows.");
    }

    private static byte[] Encode(string text, string? path)
    {
        try
        {
            return StrictUtf8.GetBytes(text);
        }
        catch (EncoderFallbackException exception)
        {
            throw new SafetensorsException(SafetensorsError.InvalidName, path, $"'{text}' is not Unicode text.", exception);
        }
    }

    /// <summary>A JSON string as Rust's serde_json writes it: System.Text.Json's encoders all escape more.</summary>
    private static void WriteString(MemoryStream json, ReadOnlySpan<byte> text)
    {
        json.WriteByte((byte)'"');
        foreach (var character in text)
        {
            ReadOnlySpan<byte> escape = character switch
            {
                (byte)'"' => "\\\""u8,
                (byte)'\\' => "\\\\"u8,
                (byte)'\b' => "\\b"u8,
                (byte)'\f' => "\\f"u8,
                (byte)'\n' => "\\n"u8,
                (byte)'\r' => "\\r"u8,
                (byte)'\t' => "\\t"u8,
                < 0x20 => Encoding.ASCII.GetBytes($"\\u{character:x4}"),
                _ => default,
            };
            if (escape.IsEmpty) json.WriteByte(character);
            else json.Write(escape);
        }

        json.WriteByte((byte)'"');
    }
}

/// <summary>A tensor to write.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Dtype">The dtype of its elements.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="WriteBytes">Writes exactly the bytes that shape and dtype ask for.</param>
internal sealed record SafetensorsEntry(string Name, SafetensorsDtype Dtype, IReadOnlyList<long> Shape, Action<Stream> WriteBytes);
