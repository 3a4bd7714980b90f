using System.IO.Compression;
using Fossil.Models;
using Fossil.Models.Chat;
using Fossil.Models.Tokenizers;

namespace Fossil.Fuzz;

/// <summary>Data files: their rows as conversations, prompts, instructions and text, written by a chat template and cut into tokens.</summary>
internal sealed class JsonlTarget : FuzzTarget
{
    // Escapes, surrogates and NUL among what is said.
    private static readonly string[] Rows =
    [
        """{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Zwölf\n"}, {"type": "text", "text": "\ud83c\udf27"}]}, {"role": "assistant", "content": "\u0000 <|im_end|>", "weight": 1}], "id": 7}""",
        """{"tools": [{"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}}}], "messages": [{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{\"place\": \"Kyoto\", \"days\": [1, 2.5, null]}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "wet"}, {"role": "assistant", "content": "Yes.", "reasoning_content": "wet is rain"}], "chat_template_kwargs": {"enable_thinking": false}}""",
        """{"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}, {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {}}"}, {"from": "observation", "value": "o"}, {"from": "gpt", "value": "<think>\nhm\n</think>\n\nb"}], "tools": "[{\"name\": \"f\"}]"}""",
        """{"prompt": "2+2=", "completion": "4"}""",
        """{"prompt": [{"role": "user", "content": "2+2?"}], "completion": [{"role": "assistant", "content": "4"}], "documents": [{"title": "t", "text": "d"}]}""",
        """{"prompt": "a", "chosen": "good", "rejected": "bad", "score": 0.5}""",
        """{"chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "good"}], "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "bad"}]}""",
        """{"instruction": "Add.", "input": "2 and 2", "output": "4", "history": [["q", "w"]], "system": "s"}""",
        """{"text": "all of it \u00e4"}""",
    ];

    private readonly Lazy<PretrainedTokenizer> tokenizer = new(ByteLevelTokenizer.Create);

    public override string Pattern => "*.jsonl";

    public override IReadOnlyList<byte[]> BuiltIn { get; } = [.. Rows.Select(Utf8), Utf8(string.Join('\n', Rows)), Utf8($"[{string.Join(",\n", Rows)}]"), Compress(string.Join('\n', Rows)), Utf8("\uFEFF" + Rows[3] + "\r\n\r\n" + Rows[8])];

    public override void Read(string path)
    {
        // A prompt is text as it stands, or a turn.
        foreach (var template in new[] { null, ChatTemplate.Of(tokenizer.Value) })
        {
            var data = ChatData.FromJsonl(path, tokenizer.Value, 256, template);
            if (data.Report.LossTokens == 0) throw new InvalidOperationException($"{path} was accepted, and nothing of it is learned.");
        }
    }

    private static byte[] Utf8(string text) => System.Text.Encoding.UTF8.GetBytes(text);

    private static byte[] Compress(string text)
    {
        var stream = new MemoryStream();
        using (var gzip = new GZipStream(stream, CompressionLevel.Fastest)) gzip.Write(Utf8(text));
        return stream.ToArray();
    }
}
