using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Fossil.Training;

namespace Fossil.Models.Data;

/// <summary>
/// The rows of JSON files, read one at a time: an object a line (<c>.jsonl</c>), or an array of objects (<c>.json</c>), compressed by gzip (<c>.gz</c>) or not. What a file is, its first bytes say and
/// not its name.
/// </summary>
public static partial class JsonRows
{
    private const int BufferSize = 1 << 16;

    /// <summary>Reads files, one behind another. Empty lines are skipped.</summary>
    /// <param name="paths">The files.</param>
    /// <exception cref="TrainingDataException">While reading: a file cannot be read or has no row, or a row is no JSON object of Unicode text; it names file and line.</exception>
    public static IEnumerable<DataRow> Read(params IEnumerable<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        return paths.SelectMany(ReadFile);
    }

    private static IEnumerable<DataRow> ReadFile(string path)
    {
        var isArray = Guard(path, () => FirstCharacter(path) == '[');
        using var file = Guard(path, () => Open(path));
        using var rows = (isArray ? Elements(path, file) : Lines(path, file)).GetEnumerator();
        var any = false;
        for (; Guard(path, rows.MoveNext); any = true) yield return rows.Current;
        if (!any) throw new TrainingDataException(path, 0, "holds no example.");
    }

    private static Stream Open(string path)
    {
        var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, BufferSize, FileOptions.SequentialScan);
        Span<byte> start = stackalloc byte[4];
        var read = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        file.Position = 0;
        if (start[..read].SequenceEqual("PAR1"u8))
        {
            file.Dispose();
            throw new TrainingDataException(path, 0, "is a Parquet file: read it with ParquetRows of the package Fossil.Gen.Data, and pass the rows to ChatData.FromRows.");
        }

        return read >= 2 && start[0] == 0x1F && start[1] == 0x8B ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    private static int FirstCharacter(string path)
    {
        using var file = new BufferedStream(Open(path));
        int read;
        do read = file.ReadByte();
        while (read is ' ' or '\t' or '\r' or '\n' or 0xEF or 0xBB or 0xBF);
        return read;
    }

    private static IEnumerable<DataRow> Lines(string path, Stream file)
    {
        var (buffer, start, filled) = (new byte[BufferSize], 0, 0);
        for (long line = 1; ;)
        {
            var length = buffer.AsSpan(start, filled - start).IndexOf((byte)'\n');
            if (length < 0)
            {
                // A line longer than the buffer doubles it; what is left of the last one moves to the front.
                buffer.AsSpan(start, filled - start).CopyTo(buffer);
                (start, filled) = (0, filled - start);
                if (filled == buffer.Length) Array.Resize(ref buffer, 2 * buffer.Length);
                var read = file.Read(buffer, filled, buffer.Length - filled);
                filled += read;
                if (read > 0) continue;
                if (Parse(filled) is { } last) yield return last;
                yield break;
            }

            if (Parse(start + length) is { } row) yield return row;
            start += length + 1;
            line++;

            DataRow? Parse(int end)
            {
                var text = buffer.AsMemory(start..end);
                if (line == 1 && text.Span.StartsWith("\uFEFF"u8)) text = text[3..];
                // A field that is there twice would say two things.
                return text.Span.IndexOfAnyExcept(" \t\r"u8) < 0 ? null : Row(path, line, "line", () => JsonNode.Parse(text.Span, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }));
            }
        }
    }

    private static IEnumerable<DataRow> Elements(string path, Stream file)
    {
        long row = 0;
        foreach (var element in JsonSerializer.DeserializeAsyncEnumerable(file, RowTypes.Default.JsonElement).ToBlockingEnumerable())
        {
            row++;
            yield return Row(path, row, "row", () => element.ValueKind switch
            {
                JsonValueKind.Object => JsonObject.Create(element),
                JsonValueKind.Array => JsonArray.Create(element),
                _ => JsonValue.Create(element),
            });
        }
    }

    private static DataRow Row(string path, long line, string unit, Func<JsonNode?> parse)
    {
        try
        {
            var node = parse();
            if (node is not JsonObject row) throw Error($"must be a JSON object, not {JsonNames.Of(node)}.");
            CheckUnicode(row);
            return new DataRow(path, line, row) { Unit = unit };
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException)
        {
            // A field twice is an ArgumentException where the row is an element of an array.
            throw Error($"is not JSON: {exception.Message}", exception);
        }
        catch (InvalidOperationException exception)
        {
            // An escape can be half of a surrogate pair, which the reader finds out only when it returns the string.
            throw Error($"holds text that is not Unicode: {exception.Message}", exception);
        }

        TrainingDataException Error(string reason, Exception? inner = null) => new(path, line, reason, inner, unit);
    }

    private static void CheckUnicode(JsonNode? node)
    {
        if (node is JsonObject fields) foreach (var (_, value) in fields) CheckUnicode(value);
        else if (node is JsonArray items) foreach (var item in items) CheckUnicode(item);
        else if (node is JsonValue value && value.GetValueKind() == JsonValueKind.String) value.GetValue<string>();
    }

    private static T Guard<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new TrainingDataException(path, 0, $"cannot be read: {exception.Message}", exception);
        }
        catch (JsonException exception)
        {
            throw new TrainingDataException(path, (exception.LineNumber ?? -1) + 1, $"is not JSON: {exception.Message}", exception);
        }
    }

    [JsonSerializable(typeof(JsonElement))]
    private sealed partial class RowTypes : JsonSerializerContext;
}
