using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Fossil.Models.Gguf;

/// <summary>
/// Reads a file's header. Every count, length and offset is compared with what is left of the file before anything of that size is
/// allocated, so a hostile file costs no more memory than a small multiple of its own length.
/// </summary>
internal sealed unsafe class GgufHeader
{
    private const int MaxDepth = 4;
    private const int MaxDimensions = 4;
    private const int MinKeyValueBytes = 8 + 4 + 1;
    private const int MinTensorBytes = 8 + 4 + 8 + 4 + 8;
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly byte* start;
    private readonly long length;
    private readonly string path;
    private long position;

    private GgufHeader(byte* start, long length, string path)
    {
        this.start = start;
        this.length = length;
        this.path = path;
        Metadata = new GgufMetadata(path);
    }

    /// <summary>The metadata.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>The tensors, in the header's order.</summary>
    public List<GgufTensorInfo> Tensors { get; } = [];

    /// <summary>Where the tensors' bytes begin.</summary>
    public long DataStart { get; private set; }

    /// <summary>Reads and checks a header.</summary>
    /// <exception cref="GgufException">It is not well-formed.</exception>
    public static GgufHeader Read(byte* start, long length, string path)
    {
        var header = new GgufHeader(start, length, path);
        header.Read();
        return header;
    }

    private void Read()
    {
        if (length < 4 || !new ReadOnlySpan<byte>(start, 4).SequenceEqual("GGUF"u8)) throw Error(GgufError.NotGguf, "this is no GGUF file: it does not begin with 'GGUF'.");
        position = 4;
        var version = Number<uint>("the version");
        if (version is not (2 or 3))
        {
            throw (version & 0xFFFF) == 0
                ? Error(GgufError.BigEndian, "the file is written for big-endian machines. Convert it with llama.cpp's gguf_convert_endian.py.")
                : Error(GgufError.UnsupportedVersion, $"version {version} of GGUF cannot be read, only 2 and 3. Convert the model again with a current llama.cpp.");
        }

        var tensorCount = Count("tensors", MinTensorBytes);
        var keyCount = Count("metadata entries", MinKeyValueBytes);
        for (long i = 0; i < keyCount; i++) ReadKeyValue(i);
        var alignment = Alignment();
        var pending = new List<(string Name, GgufTensorType Type, long[] Dimensions, ulong Offset)>();
        for (long i = 0; i < tensorCount; i++) pending.Add(ReadTensorInfo(i));
        DataStart = (position + alignment - 1) / alignment * alignment;
        CheckTensors(pending, alignment);
    }

    private void ReadKeyValue(long index)
    {
        var key = String($"metadata key {index}");
        if (key.Length == 0) throw Error(GgufError.InvalidName, $"metadata key {index} is empty.");
        var value = Value(ValueType(key), key, 0);
        if (!Metadata.TryAdd(key, value)) throw Error(GgufError.InvalidName, $"the metadata has '{key}' twice.");
    }

    private GgufValueType ValueType(string key)
    {
        var type = Number<uint>($"the type of '{key}'");
        return type <= (uint)GgufValueType.Float64
            ? (GgufValueType)type
            : throw Error(GgufError.UnknownValueType, $"the metadata's '{key}' has type {type}, which GGUF does not define.");
    }

    private GgufValue Value(GgufValueType type, string key, int depth) => type switch
    {
        GgufValueType.UInt8 => GgufValue.Of(Number<byte>(key)),
        GgufValueType.Int8 => GgufValue.Of(Number<sbyte>(key)),
        GgufValueType.UInt16 => GgufValue.Of(Number<ushort>(key)),
        GgufValueType.Int16 => GgufValue.Of(Number<short>(key)),
        GgufValueType.UInt32 => GgufValue.Of(Number<uint>(key)),
        GgufValueType.Int32 => GgufValue.Of(Number<int>(key)),
        GgufValueType.UInt64 => GgufValue.Of(Number<ulong>(key)),
        GgufValueType.Int64 => GgufValue.Of(Number<long>(key)),
        GgufValueType.Float32 => GgufValue.Of(Number<float>(key)),
        GgufValueType.Float64 => GgufValue.Of(Number<double>(key)),
        GgufValueType.Bool => GgufValue.Of(Boolean(key)),
        GgufValueType.String => GgufValue.Of(String(key)),
        _ => GgufValue.OfArray(Array(key, depth + 1)),
    };

    private Array Array(string key, int depth)
    {
        if (depth > MaxDepth) throw Error(GgufError.TooDeep, $"the metadata's '{key}' nests arrays more than {MaxDepth} deep.");
        var type = ValueType(key);
        return type switch
        {
            GgufValueType.UInt8 => Numbers<byte>(key),
            GgufValueType.Int8 => Numbers<sbyte>(key),
            GgufValueType.UInt16 => Numbers<ushort>(key),
            GgufValueType.Int16 => Numbers<short>(key),
            GgufValueType.UInt32 => Numbers<uint>(key),
            GgufValueType.Int32 => Numbers<int>(key),
            GgufValueType.UInt64 => Numbers<ulong>(key),
            GgufValueType.Int64 => Numbers<long>(key),
            GgufValueType.Float32 => Numbers<float>(key),
            GgufValueType.Float64 => Numbers<double>(key),
            GgufValueType.Bool => Elements(key, sizeof(byte), () => Boolean(key)),
            GgufValueType.String => Elements(key, sizeof(ulong), () => String(key)),
            _ => Elements(key, sizeof(uint) + sizeof(ulong), () => Value(GgufValueType.Array, key, depth)),
        };
    }

    private T[] Numbers<T>(string key)
        where T : unmanaged
    {
        var values = new T[Length(key, sizeof(T))];
        new ReadOnlySpan<T>(start + position, values.Length).CopyTo(values);
        position += (long)values.Length * sizeof(T);
        return values;
    }

    private T[] Elements<T>(string key, int minBytes, Func<T> read)
    {
        var values = new T[Length(key, minBytes)];
        for (var i = 0; i < values.Length; i++) values[i] = read();
        return values;
    }

    private bool Boolean(string key) => Number<byte>(key) switch
    {
        0 => false,
        1 => true,
        var other => throw Error(GgufError.InvalidBoolean, $"the metadata's '{key}' holds {other} where a truth value, 0 or 1, belongs."),
    };

    private string String(string what)
    {
        var bytes = Length(what, 1);
        try
        {
            var text = StrictUtf8.GetString(start + position, bytes);
            position += bytes;
            return text;
        }
        catch (DecoderFallbackException exception)
        {
            throw new GgufException(GgufError.InvalidUtf8, path, $"the string at byte {position} ({what}) is not UTF-8.", exception);
        }
    }

    /// <summary>A count of elements of at least that many bytes each, of which the rest of the file has room for so many.</summary>
    private int Length(string what, int minBytes)
    {
        var count = Number<ulong>(what);
        var room = (length - position) / minBytes;
        if (count <= (ulong)Math.Min(room, System.Array.MaxLength)) return (int)count;
        throw Error(GgufError.LengthTooLarge, $"{what} claims a length of {count}, but {length - position} bytes are left of the file. It is damaged or cut short.");
    }

    private long Count(string what, int minBytes)
    {
        var count = Number<ulong>($"the number of {what}");
        return count <= (ulong)((length - position) / minBytes)
            ? (long)count
            : throw Error(GgufError.CountTooLarge, $"the header claims {count} {what}, more than the file's {length} bytes have room for. It is damaged or cut short.");
    }

    private T Number<T>(string what)
        where T : unmanaged
    {
        if (length - position < sizeof(T)) throw Error(GgufError.Truncated, $"the file ends at byte {length} inside {what}. It is cut short.");
        var value = Unsafe.ReadUnaligned<T>(start + position);
        position += sizeof(T);
        return value;
    }

    private long Alignment()
    {
        if (!Metadata.TryGetValue("general.alignment", out var value)) return 32;
        return value.Value is uint alignment && BitOperations.IsPow2(alignment)
            ? alignment
            : throw Error(GgufError.InvalidAlignment, $"'general.alignment' is {value} ({value.Type}), not a power of two in 32 unsigned bits.");
    }

    private (string Name, GgufTensorType Type, long[] Dimensions, ulong Offset) ReadTensorInfo(long index)
    {
        var name = String($"the name of tensor {index}");
        if (name.Length == 0) throw Error(GgufError.InvalidName, $"the name of tensor {index} is empty.");
        var rank = Number<uint>($"the rank of '{name}'");
        if (rank is 0 or > MaxDimensions) throw Error(GgufError.InvalidShape, $"tensor '{name}' has {rank} dimensions; GGUF allows 1 to {MaxDimensions}.");
        var dimensions = new long[rank];
        for (var i = 0; i < dimensions.Length; i++)
        {
            var dimension = Number<ulong>($"the shape of '{name}'");
            if (dimension > long.MaxValue) throw Error(GgufError.ShapeOverflow, $"tensor '{name}' has a dimension of {dimension}.");
            dimensions[i] = (long)dimension;
        }

        var type = (GgufTensorType)Number<int>($"the type of '{name}'");
        return (name, type, dimensions, Number<ulong>($"the offset of '{name}'"));
    }

    private void CheckTensors(List<(string Name, GgufTensorType Type, long[] Dimensions, ulong Offset)> pending, long alignment)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var dataLength = Math.Max(0, length - DataStart);
        foreach (var (name, type, dimensions, offset) in pending)
        {
            if (!names.Add(name)) throw Error(GgufError.InvalidName, $"two tensors are named '{name}'.");
            var (blockElements, _) = type.Block();
            if (blockElements == 0) throw Error(GgufError.UnknownTensorType, $"tensor '{name}' has type {(int)type}, which this reader does not know.");
            if (dimensions[0] % blockElements != 0) throw Error(GgufError.InvalidShape, $"tensor '{name}' has rows of {dimensions[0]} elements, no whole number of {type}'s blocks of {blockElements}.");
            if (!type.TryGetByteCount(dimensions, out var bytes)) throw Error(GgufError.ShapeOverflow, $"shape [{string.Join(", ", dimensions.Reverse())}] of tensor '{name}' in {type} is no possible number of bytes.");
            if (offset % (ulong)alignment != 0) throw Error(GgufError.MisalignedOffset, $"tensor '{name}' begins at offset {offset}, which is no multiple of the alignment {alignment}.");
            if (offset > (ulong)dataLength || bytes > dataLength - (long)offset)
            {
                throw Error(GgufError.DataTruncated, $"tensor '{name}' of {bytes} bytes at offset {offset} ends after the end of the file, which holds {dataLength} bytes of data. It is cut short; fetch it again.");
            }

            Tensors.Add(new GgufTensorInfo(name, type, System.Array.AsReadOnly([.. dimensions.Reverse()]), (long)offset, bytes));
        }

        GgufTensorInfo? previous = null;
        foreach (var tensor in Tensors.Where(tensor => tensor.ByteCount > 0).OrderBy(tensor => tensor.Offset))
        {
            if (previous is not null && tensor.Offset < previous.Offset + previous.ByteCount) throw Error(GgufError.Overlap, $"tensor '{tensor.Name}' begins before '{previous.Name}' ends.");
            previous = tensor;
        }
    }

    private GgufException Error(GgufError error, string message) => new(error, path, message);
}
