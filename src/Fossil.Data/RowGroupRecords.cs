using System.Text.Json.Nodes;
using Fossil.Training;
using Parquet;
using Parquet.Schema;

namespace Fossil.Data;

/// <summary>
/// Puts the columns of a row group together to records. Parquet stores only the leaves, each value with two levels: how many of its ancestors that may be missing are there (definition), and which list
/// above it goes on (repetition).
/// </summary>
internal sealed class RowGroupRecords : IDisposable
{
    private readonly string path;
    private readonly IReadOnlyList<Field> fields;
    private readonly List<LeafColumn> columns = [];
    private readonly Dictionary<Field, LeafColumn[]> below = new(ReferenceEqualityComparer.Instance);

    /// <exception cref="TrainingDataException">A column is damaged, or of a type that JSON cannot say.</exception>
    public RowGroupRecords(string path, long firstRow, ParquetRowGroupReader group, IReadOnlyList<Field> fields)
    {
        (this.path, this.fields, Count) = (path, fields, group.RowCount);
        try
        {
            foreach (var field in fields) columns.AddRange(Open(field));
        }
        catch
        {
            Dispose();
            throw;
        }

        LeafColumn[] Open(Field field) => below[field] = field switch
        {
            ListField list => Open(list.Item),
            StructField structure => [.. structure.Fields.SelectMany(Open)],
            MapField map => [.. Open(map.Key), .. Open(map.Value)],
            DataField leaf => [LeafColumn.Read(path, firstRow + 1, group, leaf)],
            _ => throw new TrainingDataException(path, 0, $"has the column \"{field.Path}\" of a kind that is not known ({field.SchemaType})."),
        };
    }

    /// <summary>Number of rows.</summary>
    public long Count { get; }

    /// <summary>The next row.</summary>
    /// <exception cref="TrainingDataException">The levels of its columns contradict each other.</exception>
    public JsonObject Next(long row)
    {
        try
        {
            if (columns.Find(column => !column.IsAtRow) is { } column) throw new ColumnException(column);
            var record = new JsonObject();
            foreach (var field in fields) if (Value(field) is { } value) record[field.Name] = value;
            return record;
        }
        catch (ColumnException exception)
        {
            throw Error(row, exception);
        }
    }

    /// <summary>Checks that no column has values for more rows than there are.</summary>
    public void CheckEnd(long row)
    {
        if (columns.Find(column => !column.IsAtEnd) is { } column) throw Error(row, new ColumnException(column));
    }

    /// <inheritdoc/>
    public void Dispose() => columns.ForEach(column => column.Dispose());

    private TrainingDataException Error(long row, ColumnException exception) => new(path, row, $"the column \"{exception.Column.Name}\" {exception.Message}.", exception, "row");

    private JsonNode? Value(Field field)
    {
        switch (field)
        {
            case ListField list:
                return Repeated(field, () => Value(list.Item));
            case MapField map:
                return Repeated(field, () => Entry(map)) is JsonArray entries ? new JsonObject(entries.Select(entry => new KeyValuePair<string, JsonNode?>((string)entry!["key"]!, entry["value"]?.DeepClone()))) : null;
            case DataField { IsArray: true } leaf:
                // Old writers repeat the value itself, without a list around it.
                return Repeated(field, below[leaf][0].Take);
            case StructField structure when IsThere(field):
                var value = new JsonObject();
                foreach (var inner in structure.Fields) if (Value(inner) is { } node) value[inner.Name] = node;
                return value;
            case StructField:
                Skip(field);
                return null;
            default:
                return below[field][0].Take();
        }
    }

    /// <summary>Null, nothing or one value and another for as long as the list goes on.</summary>
    private JsonArray? Repeated(Field field, Func<JsonNode?> next)
    {
        var column = below[field][0];
        if (!IsThere(field))
        {
            // One level less than a value's: the list is there, and empty.
            var isEmpty = column.Definition == field.MaxDefinitionLevel - 1;
            Skip(field);
            return isEmpty ? [] : null;
        }

        var items = new JsonArray();
        do items.Add(next());
        while (!column.IsAtEnd && column.Repetition == field.MaxRepetitionLevel);
        return items;
    }

    private JsonObject Entry(MapField map) => new() { ["key"] = Value(map.Key) is { } key ? key.ToString() : throw new ColumnException(below[map][0]), ["value"] = Value(map.Value) };

    private bool IsThere(Field field) => below[field][0].Definition >= field.MaxDefinitionLevel;

    /// <summary>Where a field is missing, each leaf below has one entry that says so.</summary>
    private void Skip(Field field)
    {
        foreach (var column in below[field]) column.Skip();
    }
}
