using Fossil.Models.Data;
using Fossil.Training;
using Parquet;
using Parquet.Schema;

namespace Fossil.Data;

/// <summary>
/// The rows of Parquet files, such as data sets of the Hugging Face hub, read one row group at a time: columns become the fields of JSON objects, lists and structs nest as they do there.
/// </summary>
/// <remarks>
/// A null in a struct or a row is a field that is not there: the columns are those of all rows, and the file does not tell one from the other. Nulls in lists stay. Times are ISO 8601 in strings, numbers
/// that are not finite are null.
/// </remarks>
public static class ParquetRows
{
    private static readonly ParquetOptions Options = new() { UseDateOnlyTypeForDates = true };

    /// <summary>Reads all columns of files, one file behind another.</summary>
    /// <param name="paths">The files.</param>
    /// <exception cref="TrainingDataException">While reading: a file cannot be read, is no Parquet file, is damaged, has no row, or has a column whose values JSON cannot say; it names file, row and column.</exception>
    public static IEnumerable<DataRow> Read(params IEnumerable<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        return paths.SelectMany(path => ReadFile(path, null));
    }

    /// <summary>Reads some columns of files, one file behind another. Columns that are left out, such as images, cost nothing.</summary>
    /// <param name="paths">The files.</param>
    /// <param name="columns">Names of columns; a column of structs is read whole.</param>
    /// <inheritdoc cref="Read(IEnumerable{string})"/>
    public static IEnumerable<DataRow> Read(IEnumerable<string> paths, IReadOnlyCollection<string> columns)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentNullException.ThrowIfNull(columns);
        return paths.SelectMany(path => ReadFile(path, columns));
    }

    private static IEnumerable<DataRow> ReadFile(string path, IReadOnlyCollection<string>? columns)
    {
        using var stream = Guard(path, () => new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read));
        var reader = Guard(path, () => ParquetReader.CreateAsync(stream, Options, leaveStreamOpen: true).GetAwaiter().GetResult());
        try
        {
            // The schema is decoded when it is asked for.
            var fields = Guard(path, () => Choose(path, reader.Schema, columns));
            long row = 0;
            for (var group = 0; group < reader.RowGroupCount; group++)
            {
                using var records = Guard(path, () => new RowGroupRecords(path, row, reader.OpenRowGroupReader(group), fields));
                for (long left = records.Count; left > 0; left--)
                {
                    row++;
                    yield return new DataRow(path, row, records.Next(row)) { Unit = "row" };
                }

                records.CheckEnd(row);
            }

            if (row == 0) throw new TrainingDataException(path, 0, "holds no example.");
        }
        finally
        {
            reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private static IReadOnlyList<Field> Choose(string path, ParquetSchema schema, IReadOnlyCollection<string>? columns)
    {
        if (columns is null) return schema.Fields;
        if (columns.FirstOrDefault(column => schema.Fields.All(field => field.Name != column)) is { } missing)
        {
            throw new TrainingDataException(path, 0, $"has no column \"{missing}\"; it has {string.Join(", ", schema.Fields.Select(field => field.Name))}.");
        }

        return [.. schema.Fields.Where(field => columns.Contains(field.Name))];
    }

    private static T Guard<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is not TrainingDataException)
        {
            // What a damaged file makes the library throw is of many types.
            throw new TrainingDataException(path, 0, $"cannot be read as a Parquet file: {exception.Message}", exception);
        }
    }
}
