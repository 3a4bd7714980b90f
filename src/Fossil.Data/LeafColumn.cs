using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json.Nodes;
using Fossil.Training;
using Parquet;
using Parquet.Data;
using Parquet.Schema;

namespace Fossil.Data;

/// <summary>The values of a column of a row group, read from the first to the last.</summary>
/// <param name="leaf">The column.</param>
/// <param name="levels">Its levels.</param>
/// <param name="rows">Rows of the group: as many entries has a column without levels.</param>
internal abstract class LeafColumn(DataField leaf, RawColumnData levels, long rows) : IDisposable
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private readonly long entries = leaf.MaxDefinitionLevel > 0 ? levels.DefinitionLevels.Length : leaf.MaxRepetitionLevel > 0 ? levels.RepetitionLevels.Length : rows;
    private int entry;
    private int values;

    /// <summary>The column's path.</summary>
    public string Name { get; } = leaf.Path.ToString();

    /// <summary>Whether all has been read.</summary>
    public bool IsAtEnd => entry >= entries;

    /// <summary>Whether the next entry begins a row.</summary>
    public bool IsAtRow => !IsAtEnd && Repetition == 0;

    /// <summary>The definition level of the next entry.</summary>
    public int Definition => leaf.MaxDefinitionLevel == 0 ? 0 : levels.DefinitionLevels[Here];

    /// <summary>The repetition level of the next entry.</summary>
    public int Repetition => leaf.MaxRepetitionLevel == 0 ? 0 : levels.RepetitionLevels[Here];

    private int Here => IsAtEnd ? throw new ColumnException(this) : entry;

    /// <summary>Reads a column.</summary>
    /// <exception cref="TrainingDataException">It is damaged, or of a type that JSON cannot say; it names the row with which the row group begins.</exception>
    public static LeafColumn Read(string path, long firstRow, ParquetRowGroupReader group, DataField field)
    {
        try
        {
            return group.ReadRawColumnDataBaseAsync(field).AsTask().GetAwaiter().GetResult() switch
            {
                RawColumnData<ReadOnlyMemory<char>> texts => Of(texts, text => JsonValue.Create(text.ToString())),
                RawColumnData<ReadOnlyMemory<byte>> bytes => Of(bytes, value => JsonValue.Create(StrictUtf8.GetString(value.Span))),
                RawColumnData<bool> truths => Of(truths, value => JsonValue.Create(value)),
                RawColumnData<sbyte> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<byte> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<short> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<ushort> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<int> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<uint> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<long> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<ulong> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<Half> numbers => Of(numbers, value => Half.IsFinite(value) ? JsonValue.Create((float)value) : null),
                RawColumnData<float> numbers => Of(numbers, value => float.IsFinite(value) ? JsonValue.Create(value) : null),
                RawColumnData<double> numbers => Of(numbers, value => double.IsFinite(value) ? JsonValue.Create(value) : null),
                RawColumnData<decimal> numbers => Of(numbers, value => JsonValue.Create(value)),
                RawColumnData<BigInteger> numbers => Of(numbers, value => JsonValue.Create(value.ToString(CultureInfo.InvariantCulture))),
                RawColumnData<DateTime> times => Of(times, value => JsonValue.Create(value.ToString("O", CultureInfo.InvariantCulture))),
                RawColumnData<DateOnly> days => Of(days, value => JsonValue.Create(value.ToString("O", CultureInfo.InvariantCulture))),
                RawColumnData<TimeOnly> times => Of(times, value => JsonValue.Create(value.ToString("O", CultureInfo.InvariantCulture))),
                RawColumnData<TimeSpan> times => Of(times, value => JsonValue.Create(value.ToString("c", CultureInfo.InvariantCulture))),
                RawColumnData<Guid> ids => Of(ids, value => JsonValue.Create(value.ToString())),
                var other => throw new NotSupportedException($"values of the type {other.GetType().GenericTypeArguments[0].Name} cannot be read; leave the column out by naming those to read."),
            };

            LeafColumn Of<T>(RawColumnData<T> read, Func<T, JsonNode?> toJson)
                where T : struct => new Typed<T>(field, read, group.RowCount, toJson);
        }
        catch (Exception exception)
        {
            // What a damaged page makes the library throw is of many types.
            throw new TrainingDataException(path, firstRow, $"the column \"{field.Path}\" cannot be read from here on: {exception.Message}", exception, "row");
        }
    }

    /// <summary>The next entry's value; null where there is none.</summary>
    /// <exception cref="ColumnException">There is no such entry, or its bytes are no text.</exception>
    public JsonNode? Take()
    {
        var isThere = Definition == leaf.MaxDefinitionLevel;
        Skip();
        if (!isThere) return null;
        try
        {
            return Value(values++);
        }
        catch (DecoderFallbackException exception)
        {
            throw new ColumnException(this, "holds bytes that are not text; leave it out by naming the columns to read", exception);
        }
    }

    /// <summary>Passes over an entry that has no value.</summary>
    public void Skip() => entry = Here + 1;

    /// <inheritdoc/>
    public void Dispose() => levels.Dispose();

    /// <summary>The value with this number, without those that are missing.</summary>
    protected abstract JsonNode? Value(int index);

    private sealed class Typed<T>(DataField leaf, RawColumnData<T> data, long rows, Func<T, JsonNode?> toJson) : LeafColumn(leaf, data, rows)
        where T : struct
    {
        protected override JsonNode? Value(int index) => index < data.Values.Length ? toJson(data.Values[index]) : throw new ColumnException(this);
    }
}

/// <summary>A column does not say what its schema and the columns beside it promise.</summary>
internal sealed class ColumnException(LeafColumn column, string reason = "is damaged: it does not have the rows and lists of the columns beside it", Exception? inner = null) : Exception(reason, inner)
{
    public LeafColumn Column { get; } = column;
}
