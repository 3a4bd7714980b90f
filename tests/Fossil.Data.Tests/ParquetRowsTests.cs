using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Fossil.Models.Data;
using Fossil.Training;
using Parquet;
using Parquet.Schema;

namespace Fossil.Data.Tests;

/// <summary>Rows of Parquet files are those of the JSON lines they were made from; damaged files and wrong ones are refused by file, row and column.</summary>
public sealed class ParquetRowsTests : IDisposable
{
    private static readonly string Files = Path.Combine(AppContext.BaseDirectory, "Files");
    private readonly string folder = Directory.CreateTempSubdirectory().FullName;

    public static TheoryData<string> Written => ["snappy.parquet", "plain.parquet", "zstd-small-pages.parquet"];

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory, MemberData(nameof(Written))]
    public void Lists_structs_and_nulls_are_those_that_were_written(string file)
    {
        var (expected, rows) = (Lines(), ParquetRows.Read(Path.Combine(Files, file)).ToList());
        Assert.Equal(expected.Count, rows.Count);
        foreach (var (row, index) in rows.Select((row, index) => (row, index)))
        {
            Assert.Equal((index + 1, "row"), (row.Line, row.Unit));
            Assert.True(JsonNode.DeepEquals(expected[index], row.Value), $"row {row.Line}:\n{expected[index].ToJsonString()}\n{row.Value.ToJsonString()}");
        }
    }

    [Fact]
    public void A_conversation_with_calls_of_tools_is_understood_as_the_line_is()
    {
        var row = ParquetRows.Read([Path.Combine(Files, "snappy.parquet")], ["messages", "tools"]).ElementAt(1);
        var example = DataExamples.Parse(row);
        Assert.Equal(["messages", "tools"], row.Value.Select(field => field.Key));
        Assert.True(JsonNode.DeepEquals(DataExamples.Parse(new DataRow("rows.jsonl", 2, Lines()[1])).Messages, example.Messages));
        Assert.Equal("Kyoto", (string?)example.Messages[2]!["tool_calls"]![0]!["function"]!["arguments"]!["place"]);
        Assert.Equal(2, example.Tools!.Count);
    }

    [Fact]
    public void Files_follow_one_another_and_each_counts_its_own_rows()
    {
        string[] paths = [Path.Combine(Files, "snappy.parquet"), Path.Combine(Files, "plain.parquet")];
        var rows = ParquetRows.Read(paths).ToList();
        Assert.Equal(2 * Lines().Count, rows.Count);
        Assert.Equal((paths[1], 1), (rows[Lines().Count].Path, rows[Lines().Count].Line));
    }

    [Fact]
    public async Task Row_groups_are_read_when_their_rows_are_asked_for()
    {
        // The second row group is overwritten: the rows of the first are read all the same.
        var path = Copy("plain.parquet");
        long start, end;
        await using (var reader = await ParquetReader.CreateAsync(path))
        {
            var groups = reader.Metadata!.RowGroups;
            (start, end) = (groups[1].Columns[0].MetaData!.DataPageOffset, groups[2].Columns[0].MetaData!.DataPageOffset);
        }

        var bytes = File.ReadAllBytes(path);
        bytes.AsSpan((int)start..(int)end).Fill(0xFF);
        File.WriteAllBytes(path, bytes);
        Assert.Equal(25, ParquetRows.Read(path).Take(25).Count());
        var exception = Assert.Throws<TrainingDataException>(() => ParquetRows.Read(path).Take(26).Count());
        Assert.Equal((path, 26), (exception.Path, exception.Line));
        Assert.Contains("row 26: the column \"id\"", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "cannot be read as a Parquet file")]
    [InlineData("{\"text\": \"no Parquet\"}", "cannot be read as a Parquet file")]
    [InlineData("PAR1....PAR1", "cannot be read as a Parquet file")]
    [InlineData(null, "cannot be read as a Parquet file")]
    public void Other_files_are_refused_by_name(string? content, string reason)
    {
        var path = Path.Combine(folder, "data.parquet");
        if (content is not null) File.WriteAllText(path, content);
        var exception = Assert.Throws<TrainingDataException>(() => ParquetRows.Read(path).ToList());
        Assert.Equal((path, 0), (exception.Path, exception.Line));
        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_column_that_is_not_there_is_named_with_those_that_are()
    {
        var exception = Assert.Throws<TrainingDataException>(() => ParquetRows.Read([Path.Combine(Files, "plain.parquet")], ["message"]).ToList());
        Assert.Contains("no column \"message\"; it has id, messages, prompt", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_are_text_or_a_column_to_leave_out()
    {
        var (path, text, image) = (Path.Combine(folder, "images.parquet"), new DataField<byte[]>("text"), new DataField<byte[]>("image"));
        await using (var stream = File.Create(path))
        await using (var writer = await ParquetWriter.CreateAsync(new ParquetSchema(text, image), stream))
        using (var group = writer.CreateRowGroup())
        {
            await group.WriteAsync(text, [Encoding.UTF8.GetBytes("ä"), Encoding.UTF8.GetBytes("b")]);
            await group.WriteAsync(image, [[0x61], [0x89, 0x50, 0xFF]]);
        }

        var exception = Assert.Throws<TrainingDataException>(() => ParquetRows.Read(path).ToList());
        Assert.Equal(2, exception.Line);
        Assert.Contains("the column \"image\" holds bytes that are not text", exception.Message, StringComparison.Ordinal);
        Assert.Equal(["ä", "b"], ParquetRows.Read([path], ["text"]).Select(row => (string?)row.Value["text"]));
    }

    [Theory, MemberData(nameof(Written))]
    public void Damaged_files_are_read_or_refused_by_name(string file)
    {
        var (bytes, path) = (File.ReadAllBytes(Path.Combine(Files, file)), Path.Combine(folder, file));
        var refused = 0;
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            var damaged = bytes.ToArray();
            for (var change = random.Next(1, 4); change > 0; change--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(path, random.Next(4) == 0 ? damaged[..random.Next(damaged.Length)] : damaged);
            try
            {
                foreach (var row in ParquetRows.Read(path)) row.Value.ToJsonString();
            }
            catch (TrainingDataException exception)
            {
                refused++;
                Assert.Equal(path, exception.Path);
            }
        }

        Assert.InRange(refused, 15, 60);
    }

    private string Copy(string file)
    {
        File.Copy(Path.Combine(Files, file), Path.Combine(folder, file));
        return Path.Combine(folder, file);
    }

    /// <summary>The lines as Parquet can say them: fields that are null are not there, and a time has seven decimals.</summary>
    private static List<JsonObject> Lines()
    {
        return [.. JsonRows.Read(Path.Combine(Files, "rows.jsonl")).Select(row => WithTime((JsonObject)WithoutNulls(row.Value)!))];

        static JsonNode? WithoutNulls(JsonNode? node) => node switch
        {
            JsonObject fields => new JsonObject(fields.Where(field => field.Value is not null).Select(field => KeyValuePair.Create(field.Key, WithoutNulls(field.Value)))),
            JsonArray items => new JsonArray([.. items.Select(WithoutNulls)]),
            _ => node?.DeepClone(),
        };

        static JsonObject WithTime(JsonObject row)
        {
            if ((string?)row["when"] is { } time) row["when"] = DateTime.Parse(time, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal).ToString("O", CultureInfo.InvariantCulture);
            return row;
        }
    }
}
