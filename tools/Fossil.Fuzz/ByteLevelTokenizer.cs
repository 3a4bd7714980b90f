using System.Text.Json.Nodes;
using Fossil.Models.Tokenizers;

namespace Fossil.Fuzz;

/// <summary>A tokenizer that needs no data: GPT-2's alphabet of bytes without merges, and an end of text. Its chat template writes all that messages say: tools, calls, thoughts, documents.</summary>
internal static class ByteLevelTokenizer
{
    private const string Template =
        """
        {%- for t in tools or [] %}<tool>{{ t | tojson }}</tool>
        {% endfor %}{% for d in documents or [] %}<document>{{ d | tojson }}</document>
        {% endfor %}{% for m in messages %}<|{{ m.role }}|>{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content or '' }}
        {%- for c in m.tool_calls or [] %}<call>{{ c | tojson }}</call>{% endfor %}<|end|>
        {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}
        """;

    public static PretrainedTokenizer Create()
    {
        // Printable bytes are themselves, the others come from U+0100 on.
        var (vocabulary, next) = (new JsonObject(), 256);
        for (var value = 0; value < 256; value++)
        {
            var isItself = value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            vocabulary[((char)(isItself ? value : next++)).ToString()] = value;
        }

        var folder = Directory.CreateTempSubdirectory("fossil-tokenizer-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "tokenizer.json"), new JsonObject
            {
                ["added_tokens"] = new JsonArray(new JsonObject { ["id"] = 256, ["content"] = "<|end|>", ["special"] = true }),
                ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
                ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
                ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
            }.ToJsonString());
            File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), new JsonObject { ["eos_token"] = "<|end|>", ["chat_template"] = Template }.ToJsonString());
            return PretrainedTokenizer.FromPretrained(folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
