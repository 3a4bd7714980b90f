using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;

namespace Fossil.Serialization;

/// <summary>
/// The header of a safetensors file: eight bytes of length, then a JSON object. Everything it claims is checked against the
/// file's length here, so that whoever loads a tensor afterwards may trust shape, dtype and offset.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>Bytes before the JSON: its length, little-endian.</summary>
    public const int LengthBytes = 8;

    /// <summary>The most that the format allows.</summary>
    public const long MaxBytes = 100_000_000;

    /// <summary>The key of the metadata.</summary>
    public const string MetadataKey = "__metadata__";

    // libtorch's tensor iterators take no more, and no file needs as many.
    private const int MaxRank = 64;
    private const int MaxDepth = 64;

    private SafetensorsHeader(long dataStart, IReadOnlyList<SafetensorInfo> tensors, IReadOnlyList<KeyValuePair<string, string>>? metadata)
    {
        DataStart = dataStart;
        Tensors = tensors;
        Metadata = metadata;
    }

    /// <summary>Where the tensors' bytes begin in the file.</summary>
    public long DataStart { get; }

    /// <summary>The tensors, as the header lists them.</summary>
    public IReadOnlyList<SafetensorInfo> Tensors { get; }

    /// <summary>The metadata as the header lists it; null where it has none.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? Metadata { get; }

    /// <summary>Reads the length field: the number of header bytes, which the file is known to have.</summary>
    /// <exception cref="SafetensorsException">The file cannot hold what the field claims.</exception>
    public static int ReadLength(ReadOnlySpan<byte> start, long fileLength, string? path)
    {
        if (start.Length < LengthBytes || fileLength < LengthBytes)
        {
            throw new SafetensorsException(SafetensorsError.FileTooShort, path, $"a safetensors file has at least {LengthBytes} bytes, this one {fileLength}. Fetch or write it again.");
        }

        var length = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (length > MaxBytes)
        {
            throw new SafetensorsException(SafetensorsError.HeaderTooLarge, path, $"the header claims {length} bytes, more than the {MaxBytes} that safetensors allows. Is this a safetensors file?");
        }

        if ((long)length > fileLength - LengthBytes)
        {
            throw new SafetensorsException(SafetensorsError.HeaderTruncated, path, $"the header claims {length} bytes, the file has {fileLength - LengthBytes} after its length. The file is cut off: fetch or write it again.");
        }

        return (int)length;
    }

    /// <summary>Parses and checks the JSON of the header.</summary>
    /// <param name="json">Its bytes, without the length field.</param>
    /// <param name="dataLength">Bytes of the file after the header.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="SafetensorsException">The header is not well-formed, or does not describe exactly <paramref name="dataLength"/> bytes.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long dataLength, string? path)
    {
        if (!Utf8.IsValid(json)) throw new SafetensorsException(SafetensorsError.InvalidUtf8, path, "the header is not UTF-8. Is this a safetensors file?");
        var parser = new Parser(path);
        try
        {
            parser.Read(json);
        }
        catch (JsonException exception)
        {
            throw new SafetensorsException(SafetensorsError.InvalidJson, path, $"the header is not well-formed JSON: {exception.Message}", exception);
        }
        catch (InvalidOperationException exception)
        {
            throw new SafetensorsException(SafetensorsError.InvalidJson, path, $"the header holds a string that is not Unicode text: {exception.Message}", exception);
        }

        CheckCoverage(parser.Tensors, dataLength, path);
        return new SafetensorsHeader(LengthBytes + json.Length, parser.Tensors, parser.Metadata);
    }

    /// <summary>The tensors must cover the data exactly: no overlap, no gap, nothing missing, nothing over.</summary>
    private static void CheckCoverage(List<SafetensorInfo> tensors, long dataLength, string? path)
    {
        long end = 0;
        foreach (var tensor in tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.ByteCount))
        {
            if (tensor.Offset < end) throw Error(SafetensorsError.Overlap, tensor, $"begins at {tensor.Offset}, before the previous tensor ends at {end}");
            if (tensor.Offset > end) throw Error(SafetensorsError.Gap, tensor, $"begins at {tensor.Offset}, the previous tensor ends at {end}");
            if (tensor.ByteCount > dataLength - end) throw Error(SafetensorsError.DataTruncated, tensor, $"ends at {tensor.Offset + tensor.ByteCount}, the file has {dataLength} bytes of data. It is cut off: fetch or write it again");
            end += tensor.ByteCount;
        }

        if (end != dataLength)
        {
            throw new SafetensorsException(SafetensorsError.TrailingData, path, $"the last tensor ends at {end}, the file has {dataLength} bytes of data.");
        }

        SafetensorsException Error(SafetensorsError error, SafetensorInfo tensor, string what) => new(error, path, $"tensor '{Shorten(tensor.Name)}' {what}.");
    }

    /// <summary>A name from the file, short enough for a message.</summary>
    private static string Shorten(string name) => name.Length <= 200 ? name : name[..200] + "…";

    /// <summary>One pass over the JSON.</summary>
    private sealed class Parser(string? path)
    {
        private readonly HashSet<string> names = new(StringComparer.Ordinal);
        private readonly List<long> numbers = [];

        public List<SafetensorInfo> Tensors { get; } = [];

        public List<KeyValuePair<string, string>>? Metadata { get; private set; }

        public void Read(ReadOnlySpan<byte> json)
        {
            // Spaces pad the end of the header, never its start.
            if (json.IsEmpty || json[0] != (byte)'{') throw Error(SafetensorsError.InvalidJson, "the header does not begin with '{'. Is this a safetensors file?");
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth + 1 });
            Advance(ref reader);
            while (NextProperty(ref reader, out var name))
            {
                if (!names.Add(name)) throw Error(SafetensorsError.DuplicateName, $"'{Shorten(name)}' occurs twice in the header.");
                Advance(ref reader);
                if (name == MetadataKey) ReadMetadata(ref reader);
                else ReadTensor(ref reader, name);
            }

            // The reader itself refuses anything but white space after the object.
            if (reader.Read()) throw Error(SafetensorsError.InvalidJson, "the header goes on after its JSON object.");
        }

        private void ReadMetadata(ref Utf8JsonReader reader)
        {
            if (reader.TokenType == JsonTokenType.Null) return;
            if (reader.TokenType != JsonTokenType.StartObject) throw Error(SafetensorsError.InvalidMetadata, $"{MetadataKey} is not an object.");
            var keys = new HashSet<string>(StringComparer.Ordinal);
            Metadata = [];
            while (NextProperty(ref reader, out var key))
            {
                if (!keys.Add(key)) throw Error(SafetensorsError.DuplicateName, $"'{Shorten(key)}' occurs twice in {MetadataKey}.");
                Advance(ref reader);
                if (reader.TokenType != JsonTokenType.String) throw Error(SafetensorsError.InvalidMetadata, $"'{Shorten(key)}' in {MetadataKey} is not a string.");
                Metadata.Add(new KeyValuePair<string, string>(key, reader.GetString()!));
            }
        }

        private void ReadTensor(ref Utf8JsonReader reader, string name)
        {
            if (reader.TokenType != JsonTokenType.StartObject) throw Error(SafetensorsError.InvalidTensorInfo, $"the description of tensor '{Shorten(name)}' is not an object.");
            SafetensorsDtype? dtype = null;
            long[]? shape = null;
            (long Begin, long End)? offsets = null;
            while (NextProperty(ref reader, out var field))
            {
                Advance(ref reader);
                switch (field)
                {
                    case "dtype" when dtype is null:
                        dtype = ReadDtype(ref reader, name);
                        break;
                    case "shape" when shape is null:
                        ReadNumbers(ref reader, MaxRank, SafetensorsError.InvalidShape, name, "shape");
                        shape = [.. numbers];
                        break;
                    case "data_offsets" when offsets is null:
                        ReadNumbers(ref reader, 2, SafetensorsError.InvalidOffsets, name, "data_offsets");
                        if (numbers.Count != 2) throw Error(SafetensorsError.InvalidOffsets, $"data_offsets of tensor '{Shorten(name)}' are not two numbers.");
                        offsets = (numbers[0], numbers[1]);
                        break;
                    case "dtype" or "shape" or "data_offsets":
                        throw Error(SafetensorsError.DuplicateName, $"tensor '{Shorten(name)}' has '{field}' twice.");
                    default:
                        // As the format's own library does: fields of later versions are passed over.
                        Skip(ref reader);
                        break;
                }
            }

            if (dtype is not { } elements || shape is null || offsets is not { } span)
            {
                throw Error(SafetensorsError.InvalidTensorInfo, $"tensor '{Shorten(name)}' lacks dtype, shape or data_offsets.");
            }

            if (span.End < span.Begin) throw Error(SafetensorsError.InvalidOffsets, $"data_offsets [{span.Begin}, {span.End}] of tensor '{Shorten(name)}' are reversed.");
            if (!elements.TryGetByteCount(shape, out var bytes)) throw Error(SafetensorsError.ShapeOverflow, $"shape [{string.Join(", ", shape)}] of tensor '{Shorten(name)}' in {elements} is no possible number of bytes.");
            if (bytes != span.End - span.Begin)
            {
                throw Error(SafetensorsError.SizeMismatch, $"tensor '{Shorten(name)}' with shape [{string.Join(", ", shape)}] in {elements} has {bytes} bytes, but data_offsets [{span.Begin}, {span.End}] span {span.End - span.Begin}.");
            }

            Tensors.Add(new SafetensorInfo(name, elements, ImmutableCollectionsMarshal.AsImmutableArray(shape), span.Begin, bytes));
        }

        private SafetensorsDtype ReadDtype(ref Utf8JsonReader reader, string name)
        {
            if (reader.TokenType != JsonTokenType.String) throw Error(SafetensorsError.InvalidTensorInfo, $"dtype of tensor '{Shorten(name)}' is not a string.");
            var text = reader.GetString()!;
            return SafetensorsDtypes.TryParse(text, out var dtype)
                ? dtype
                : throw Error(SafetensorsError.UnknownDtype, $"dtype '{Shorten(text)}' of tensor '{Shorten(name)}' is not known. Known are {string.Join(", ", Enum.GetNames<SafetensorsDtype>())}.");
        }

        private void ReadNumbers(ref Utf8JsonReader reader, int most, SafetensorsError error, string name, string field)
        {
            numbers.Clear();
            if (reader.TokenType != JsonTokenType.StartArray) throw Error(error, $"{field} of tensor '{Shorten(name)}' is not an array.");
            while (Advance(ref reader) != JsonTokenType.EndArray)
            {
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0)
                {
                    throw Error(error, $"{field} of tensor '{Shorten(name)}' holds something that is not a whole number from 0 to {long.MaxValue}.");
                }

                if (numbers.Count == most) throw Error(error, $"{field} of tensor '{Shorten(name)}' has more than {most} numbers.");
                numbers.Add(number);
            }
        }

        /// <summary>Moves to the next property's name; false at the end of the object.</summary>
        private bool NextProperty(ref Utf8JsonReader reader, out string name)
        {
            var more = Advance(ref reader) == JsonTokenType.PropertyName;
            name = more ? reader.GetString()! : string.Empty;
            return more;
        }

        private JsonTokenType Advance(ref Utf8JsonReader reader)
        {
            if (!reader.Read()) throw Error(SafetensorsError.InvalidJson, "the header's JSON ends too early.");

            // The depth of a start token is that of what is around it. The reader's own limit is one higher, so this one speaks.
            if (reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray && reader.CurrentDepth >= MaxDepth)
            {
                throw Error(SafetensorsError.TooDeep, $"the header's JSON is nested more than {MaxDepth} levels deep.");
            }

            return reader.TokenType;
        }

        private void Skip(ref Utf8JsonReader reader)
        {
            var depth = reader.CurrentDepth;
            if (reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray)) return;
            while (true)
            {
                var token = Advance(ref reader);
                if (token is JsonTokenType.EndObject or JsonTokenType.EndArray && reader.CurrentDepth == depth) return;
            }
        }

        private SafetensorsException Error(SafetensorsError error, string message) => new(error, path, message);
    }
}
