using System.IO.Compression;
using System.Text;
using Fossil.Models.Chat;
using Fossil.Models.Data;
using Fossil.Models.Tests.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;
using Fossil.Training;

namespace Fossil.Models.Tests.Training;

/// <summary>Rows as TRL, OpenAI, ShareGPT and Alpaca write them: what is given to the model, what of it is learned, and what is refused or counted as ignored.</summary>
public sealed class DataFormsTests : IDisposable
{
    private const string Hermes = "hermes_tools.jinja";
    private readonly string folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [SkippableTheory]
    [InlineData("""{"prompt": [{"role": "user", "content": "2+2?"}], "completion": [{"role": "assistant", "content": "4"}]}""", "4")]
    [InlineData("""{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}], "completion": [{"role": "assistant", "content": "d"}]}""", "d")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": " b"}]}, {"role": "assistant", "content": [{"type": "text", "text": "c"}]}]}""", "c")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "weight": 1}]}""", "d")]
    [InlineData("""{"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}""", "b")]
    [InlineData("""{"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}""", "b")]
    [InlineData("""{"instruction": "Add.", "input": "2 and 2", "output": "4", "history": [["q", "w"]], "system": "s"}""", "w|4")]
    [InlineData("""{"prompt": "a", "chosen": [{"role": "assistant", "content": "good"}], "rejected": [{"role": "assistant", "content": "bad"}]}""", "good")]
    [InlineData("""{"chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "good"}], "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "bad"}]}""", "good")]
    public void Answers_are_learned_with_their_ends(string row, string answers)
    {
        var (data, tokenizer) = Read(row);
        Assert.Equal(string.Concat(answers.Split('|').Select(answer => answer + "<|im_end|>")), Learned(data, 0, tokenizer));
    }

    [SkippableFact]
    public void Calls_of_tools_and_tools_are_in_the_text()
    {
        var (data, tokenizer) = Read(
            """{"tools": [{"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "properties": {}}}}], "messages": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{\"place\": \"Kyoto\"}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "wet"}, {"role": "assistant", "content": "Yes."}], "id": 7}""",
            ChatTemplate.Parse(Template(Hermes), new Dictionary<string, string> { ["bos_token"] = "<|im_start|>", ["eos_token"] = "<|im_end|>" }));
        using var batch = data.GetBatch([0]);
        var text = tokenizer.Decode(batch.InputIds.data<long>().Select(id => (int)id));
        foreach (var written in new[] { "\"weather\"", "\"place\": \"Kyoto\"", "wet", "Rain?" }) Assert.Contains(written, text, StringComparison.Ordinal);
        Assert.Contains("Kyoto", Learned(data, 0, tokenizer), StringComparison.Ordinal);
        Assert.Contains("id (1)", data.Report.IgnoredFields, StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, {"role": "assistant", "content": "b"}]}""", "messages[0].content[0].type is \"image_url\"")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [{"function": {"name": "weather", "arguments": {}}}]}]}""", "messages[1].tool_calls[0].function.name")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "tools": [{"type": "function", "function": {"name": "weather"}}]}""", "tools[0].function.name")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]}""", "messages[1].weight is 0.5")]
    [InlineData("""{"conversations": [{"from": "narrator", "value": "a"}]}""", "conversations[0].from is \"narrator\"")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [{"id": "1"}]}]}""", "messages[1].tool_calls[0] must have the \"name\"")]
    [InlineData("""{"text": 4}""", "text must be a string")]
    [InlineData("""{"text": "a", "text": "b"}""", "is not JSON")]
    public void What_would_be_lost_or_is_not_understood_is_refused_with_its_place(string row, string reason)
    {
        var exception = Assert.Throws<TrainingDataException>(() => Read("""{"text": "fine"}""" + "\n" + row));
        Assert.Equal(2, exception.Line);
        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Thoughts_that_a_template_leaves_out_are_counted()
    {
        var (data, _) = Read("""{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "hidden"}], "source": "x"}""");
        Assert.Contains("messages[].reasoning_content (1)", data.Report.IgnoredFields, StringComparison.Ordinal);
        Assert.Contains("source (1)", data.Report.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"text": "a", "text": "b"}""", "is not JSON")]
    [InlineData("""{"messages": [{"role": "user", "content": "a", "role": "tool"}]}""", "is not JSON")]
    [InlineData("""{"text": "\ud800"}""", "not Unicode")]
    [InlineData("""{"\ud800": "a"}""", "not Unicode")]
    [InlineData("""["text"]""", "not an array")]
    [InlineData("null", "not null")]
    [InlineData("4", "not a number")]
    public void A_row_that_is_no_object_of_text_is_refused_by_its_number_whether_it_is_a_line_or_an_element(string row, string reason)
    {
        foreach (var (path, place) in new[] { (Write("rows.jsonl", """{"text": "fine"}""" + "\n" + row), "line 2"), (Write("rows.json", $$"""[{"text": "fine"}, {{row}}]"""), "row 2") })
        {
            var exception = Assert.Throws<TrainingDataException>(() => JsonRows.Read(path).ToList());
            Assert.Equal((path, 2), (exception.Path, exception.Line));
            Assert.Contains(place, exception.Message, StringComparison.Ordinal);
            Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("rows.jsonl", "", "\n")]
    [InlineData("rows.json", "[", ",")]
    public void A_file_is_read_while_its_rows_are_asked_for(string name, string start, string between)
    {
        // What is appended behind the first rows is there for whoever has not read the whole file before.
        var row = $$"""{"text": "{{new string('x', 1000)}}"}""" + between;
        var path = Write(name, start + string.Concat(Enumerable.Repeat(row, 1000)));
        using var rows = JsonRows.Read(path).GetEnumerator();
        Assert.True(rows.MoveNext());
        using (var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) file.Write(Encoding.UTF8.GetBytes("""{"text": "last"}""" + (start == "[" ? "]" : "")));
        var last = rows.Current;
        while (rows.MoveNext()) last = rows.Current;
        Assert.Equal((1001, "last"), (last.Line, (string?)last.Value["text"]));
    }

    [SkippableFact]
    public void Lines_arrays_and_compressed_files_are_the_same_rows()
    {
        string[] rows = ["""{"text": "one"}""", """{"text": "two", "id": 2}"""];
        var tokenizer = Tokenizer();
        var expected = ChatData.FromJsonl(Write("rows.jsonl", string.Join("\n\n", rows)), tokenizer, 64).Fingerprint;
        Assert.Equal(expected, ChatData.FromJsonl(Write("rows.json", $" [{string.Join(",\n", rows)}]"), tokenizer, 64).Fingerprint);
        Assert.Equal(expected, ChatData.FromJsonl([Write("a.jsonl", rows[0]), Write("b.jsonl", "\uFEFF" + rows[1])], tokenizer, 64).Fingerprint);
        var compressed = Path.Combine(folder, "rows.jsonl.gz");
        using (var gzip = new GZipStream(File.Create(compressed), CompressionLevel.Fastest)) gzip.Write(Encoding.UTF8.GetBytes(string.Join('\n', rows)));
        Assert.Equal(expected, ChatData.FromJsonl(compressed, tokenizer, 64).Fingerprint);
        Assert.Contains("ParquetRows", Assert.Throws<TrainingDataException>(() => ChatData.FromJsonl(Write("x.parquet", "PAR1..."), tokenizer, 64)).Message, StringComparison.Ordinal);
        File.WriteAllBytes(compressed, File.ReadAllBytes(compressed)[..20]);
        Assert.Throws<TrainingDataException>(() => ChatData.FromJsonl(compressed, tokenizer, 64));
    }

    [SkippableTheory]
    [InlineData("2+2=", "4")]
    [InlineData("2+2= ", "4")]
    [InlineData("Hello wor", "ld!")]
    [InlineData("a\n", "\nb")]
    [InlineData("", "alone")]
    public void A_prompt_and_its_completion_are_the_whole_text_cut_where_the_model_begins_to_answer(string prompt, string completion)
    {
        foreach (var tokenizer in new[] { Tokenizer(), SentencePiece() })
        {
            var path = Write("data.jsonl", new System.Text.Json.Nodes.JsonObject { ["prompt"] = prompt, ["completion"] = completion }.ToJsonString());
            using var batch = ChatData.FromJsonl(path, tokenizer, 64).GetBatch([0]);
            int[] ids = [.. batch.InputIds.data<long>().Select(id => (int)id)], learned = [.. batch.Targets.data<long>().Select(id => (int)id)];
            var (given, whole) = (tokenizer.Encode(prompt), tokenizer.Encode(prompt + completion));
            Assert.Equal(tokenizer.EosTokenId, ids[^1]);
            Assert.Equal(1, ids.Count(id => id == tokenizer.EosTokenId && id != tokenizer.BosTokenId) + (tokenizer.EosTokenId == tokenizer.BosTokenId ? 1 : 0));
            Assert.Equal(prompt + completion, tokenizer.Decode(ids, skipSpecialTokens: true));
            if (prompt.Length > 0) Assert.Equal(given, ids[..^learned.Length]);
            if (whole.AsSpan().StartsWith(given)) Assert.Equal(whole, ids[..^1]);
        }
    }

    [Fact]
    public void Long_lines_are_read_whole()
    {
        var path = Write("long.jsonl", string.Join('\n', Enumerable.Range(0, 40).Select(i => $$"""{"text": "{{new string((char)('a' + (i % 26)), i * 7919)}}"}""")));
        Assert.Equal(Enumerable.Range(0, 40).Select(i => i * 7919), JsonRows.Read(path).Select(row => ((string)row.Value["text"]!).Length));
        Assert.Equal(Enumerable.Range(1, 40).Select(i => (long)i), JsonRows.Read(path).Select(row => row.Line));
    }

    private (TokenData Data, PretrainedTokenizer Tokenizer) Read(string rows, ChatTemplate? template = null)
    {
        var tokenizer = Tokenizer();
        return (ChatData.FromJsonl(Write("data.jsonl", rows), tokenizer, 512, template), tokenizer);
    }

    private static PretrainedTokenizer Tokenizer() => PretrainedTokenizer.FromGguf(SmolLM2.Model);

    private PretrainedTokenizer SentencePiece()
    {
        var source = Path.Combine(DataFolders.RequireGoldenTokenizers(), "sentencepiece-32000");
        using (var gzip = new GZipStream(File.OpenRead(Path.Combine(source, "tokenizer.json.gz")), CompressionMode.Decompress))
        using (var json = File.Create(Path.Combine(folder, "tokenizer.json"))) gzip.CopyTo(json);
        File.Copy(Path.Combine(source, "tokenizer_config.json"), Path.Combine(folder, "tokenizer_config.json"), overwrite: true);
        return PretrainedTokenizer.FromPretrained(folder);
    }

    private static string Template(string name) => File.ReadAllText(Path.Combine(DataFolders.RequireGoldenChat(), "templates", name));

    private string Write(string name, string text)
    {
        File.WriteAllText(Path.Combine(folder, name), text);
        return Path.Combine(folder, name);
    }

    private static string Learned(TokenData data, int example, PretrainedTokenizer tokenizer)
    {
        using var batch = data.GetBatch([example]);
        return tokenizer.Decode(batch.Targets.data<long>().Select(id => (int)id));
    }
}
