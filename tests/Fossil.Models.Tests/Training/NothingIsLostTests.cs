using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Fossil.Fuzz;
using Fossil.Models.Chat;
using Fossil.Models.Data;
using Fossil.TestData;
using Fossil.Training;

namespace Fossil.Models.Tests.Training;

/// <summary>
/// Rows of every form, made at random, with a word of its own as each value: of a row that is accepted, each value is in the text that the model is given, or its field is in the list of those that are
/// ignored. Templates write different parts of a conversation.
/// </summary>
public sealed class NothingIsLostTests
{
    [SkippableFact]
    public void Each_value_is_in_the_text_or_its_field_is_said_to_be_ignored()
    {
        var tokenizer = ByteLevelTokenizer.Create();
        var names = new Dictionary<string, string> { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };
        // None: the tokenizer's own, which writes all.
        List<(string Name, ChatTemplate? Template)> templates =
        [
            ("none", null),
            .. Directory.EnumerateFiles(Path.Combine(DataFolders.RequireGoldenChat(), "templates"), "*.jinja").Where(file => !Path.GetFileName(file).StartsWith("broken_", StringComparison.Ordinal)).Order()
                .Select(file => (Path.GetFileName(file), (ChatTemplate?)ChatTemplate.Parse(File.ReadAllText(file), names))),
        ];
        var (accepted, ignored) = (0, 0);
        Gen.Select(Gen.Int[0, 1 << 30], Gen.Int[0, templates.Count - 1]).SampleSeeded(
            sample =>
            {
                var (seed, which) = sample;
                var (name, template) = templates[which];
                var row = new RandomRow(seed).Make();
                TokenData data;
                try
                {
                    data = ChatData.FromRows([new DataRow("rows.jsonl", 1, row)], tokenizer, 1 << 20, "rows.jsonl", template);
                }
                catch (TrainingDataException exception)
                {
                    Assert.Contains("rows.jsonl", exception.Message, StringComparison.Ordinal);
                    return;
                }

                Interlocked.Increment(ref accepted);
                using var batch = data.GetBatch([0]);
                var text = tokenizer.Decode(batch.InputIds.data<long>().Select(id => (int)id));
                var fields = data.Counts!.IgnoredFields.Keys.Select(field => field.Split(' ')[0]).ToHashSet();
                foreach (var (path, value) in Leaves(row, string.Empty).Where(leaf => !IsStructure(leaf.Path, leaf.Value)))
                {
                    if (IsIn(text, value)) continue;
                    Interlocked.Increment(ref ignored);
                    Assert.True(fields.Any(field => Covers(field, path)), $"{path} ({value.ToJsonString()}) of template {name} is neither in the text nor ignored ({string.Join(", ", fields)}):\n{row.ToJsonString()}\n{text}");
                }
            },
            count: 2000);
        Assert.True(accepted > 500 && ignored > 200, $"{accepted} accepted, {ignored} values ignored");
    }

    private static IEnumerable<(string Path, JsonValue Value)> Leaves(JsonNode? node, string path) => node switch
    {
        JsonObject fields => fields.SelectMany(field => Leaves(field.Value, path.Length == 0 ? field.Key : $"{path}.{field.Key}")),
        JsonArray items => items.SelectMany(item => Leaves(item, path + "[]")),
        JsonValue value when value.GetValueKind() == JsonValueKind.String && Quoted(value.GetValue<string>()) is { } quoted => Leaves(quoted, path),
        JsonValue value => [(path, value)],
        _ => [],
    };

    /// <summary>JSON in a string is read as what it says.</summary>
    private static JsonNode? Quoted(string text) => text is ['{' or '[', ..] ? JsonNode.Parse(text) : null;

    /// <summary>Values that say how others are meant, not what is said: who speaks, whether it is learned, that a part is text.</summary>
    private static bool IsStructure(string path, JsonValue value) =>
        path.EndsWith("[].role", StringComparison.Ordinal) || path.EndsWith("[].from", StringComparison.Ordinal) || path.EndsWith("[].weight", StringComparison.Ordinal)
        || path.EndsWith("content[].type", StringComparison.Ordinal) || path.EndsWith("value[].type", StringComparison.Ordinal) || path.StartsWith("chat_template_kwargs.enable_thinking", StringComparison.Ordinal);

    private static bool IsIn(string text, JsonValue value)
    {
        if (value.GetValueKind() is JsonValueKind.True or JsonValueKind.False) return text.Contains(value.ToJsonString(), StringComparison.OrdinalIgnoreCase);
        if (value.GetValueKind() == JsonValueKind.Number) return text.Contains(value.ToJsonString(), StringComparison.Ordinal);
        var said = value.GetValue<string>().Trim();
        // As it is, perhaps indented or in capitals; as Python prints strings; as JSON.
        return WithoutSpace(text).Contains(WithoutSpace(said), StringComparison.OrdinalIgnoreCase)
            || text.Contains(said.Replace("\n", "\\n", StringComparison.Ordinal), StringComparison.Ordinal)
            || text.Contains(JsonEncodedText.Encode(said, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString(), StringComparison.Ordinal);
    }

    private static string WithoutSpace(string text) => string.Concat(text.Where(character => !char.IsWhiteSpace(character)));

    /// <summary>Whether an ignored field is the value's or has it within; names that mean the same are one.</summary>
    private static bool Covers(string field, string path)
    {
        return Has(field, path) || Has(Normal(field), Normal(path));

        static bool Has(string field, string path) => path == field || path.StartsWith(field + ".", StringComparison.Ordinal) || path.StartsWith(field + "[", StringComparison.Ordinal);

        static string Normal(string name)
        {
            foreach (var list in new[] { "conversations", "conversation", "prompt", "completion", "chosen" })
            {
                if (name.StartsWith(list + "[]", StringComparison.Ordinal)) name = "messages" + name[list.Length..];
            }

            return name.Replace(".function_call.", ".tool_calls[].function.", StringComparison.Ordinal).Replace("functions[]", "tools[].function", StringComparison.Ordinal);
        }
    }

    /// <summary>A row of a random form; each value is a word that occurs nowhere else.</summary>
    private sealed class RandomRow(int seed)
    {
        private readonly Random random = new(seed);
        private int words;

        public JsonObject Make()
        {
            var row = Form();
            if (Chance(3)) row["id"] = Word();
            if (Chance(4)) row["source"] = new JsonObject { ["name"] = Word(), ["part"] = new JsonArray(Word(), Number()) };
            if (Chance(6)) row["system"] = Word();
            if (Chance(3)) row["tools"] = Chance(3) ? JsonValue.Create(Tools().ToJsonString()) : Tools();
            else if (Chance(6)) row["functions"] = new JsonArray(Function());
            if (Chance(6)) row["documents"] = new JsonArray(new JsonObject { ["title"] = Word(), ["text"] = Word() });
            if (Chance(6)) row["chat_template_kwargs"] = new JsonObject { ["enable_thinking"] = Chance(2), [Word()] = Word() };
            return row;
        }

        private JsonObject Form() => random.Next(9) switch
        {
            0 => new() { ["prompt"] = Word(), ["completion"] = Word() },
            1 => new() { ["instruction"] = Word(), ["input"] = Chance(2) ? Word() : "", ["output"] = Word(), ["history"] = Chance(3) ? new JsonArray(new JsonArray(Word(), Word())) : null },
            2 => new() { ["text"] = Word() },
            3 => new() { ["prompt"] = Word(), ["chosen"] = Word(), ["rejected"] = Word() },
            4 => new() { ["prompt"] = new JsonArray(Said("user")), ["completion"] = new JsonArray(Said("assistant")) },
            5 => new() { ["prompt"] = Word(), ["chosen"] = new JsonArray(Said("assistant")), ["rejected"] = new JsonArray(Said("assistant")) },
            6 => new() { ["conversations"] = new JsonArray([.. Turns().Select(ShareGpt)]) },
            _ => new() { ["messages"] = new JsonArray([.. Turns()]) },
        };

        private IEnumerable<JsonObject> Turns()
        {
            if (Chance(3)) yield return Said(Chance(3) ? "developer" : "system");
            for (var turns = random.Next(1, 3); turns > 0; turns--)
            {
                yield return Said("user");
                if (Chance(3))
                {
                    yield return Calling();
                    yield return Said("tool");
                }

                yield return Said("assistant");
            }
        }

        private JsonObject Said(string role)
        {
            var message = new JsonObject { ["role"] = role, ["content"] = Chance(5) ? new JsonArray(Part(), Part()) : Word() };
            if (role == "assistant" && Chance(4)) message["reasoning_content"] = Word();
            if (role == "assistant" && Chance(6)) message["weight"] = random.Next(2);
            if (role == "tool" && Chance(2)) message["tool_call_id"] = Word();
            if (Chance(6)) message["name"] = Word();
            if (Chance(12)) message[Word()] = new JsonObject { ["deep"] = Number() };
            return message;
        }

        private JsonObject Calling()
        {
            var message = new JsonObject { ["role"] = "assistant", ["content"] = Chance(3) ? Word() : null };
            var arguments = new JsonObject { [Word()] = Word(), [Word()] = new JsonArray(Number(), Word()) };
            var function = new JsonObject { ["name"] = Word(), ["arguments"] = Chance(2) ? arguments : JsonValue.Create(arguments.ToJsonString()) };
            if (Chance(5)) message["function_call"] = function;
            else message["tool_calls"] = new JsonArray(Chance(4) ? function : new JsonObject { ["id"] = Word(), ["type"] = "function", ["function"] = function });
            return message;
        }

        private static JsonObject ShareGpt(JsonObject message)
        {
            var role = (string)message["role"]! switch { "user" => "human", "assistant" => "gpt", "tool" => "observation", var other => other };
            return new(message.Where(field => field.Key != "role").Select(field => KeyValuePair.Create(field.Key == "content" ? "value" : field.Key, field.Value?.DeepClone())).Prepend(new("from", role)));
        }

        private JsonObject Part() => new() { ["type"] = "text", ["text"] = Word() };

        private JsonArray Tools() => [new JsonObject { ["type"] = "function", ["function"] = Function() }];

        private JsonObject Function() => new()
        {
            ["name"] = Word(),
            ["description"] = Word(),
            ["parameters"] = new JsonObject { ["type"] = "object", ["properties"] = new JsonObject { [Word()] = new JsonObject { ["type"] = "string", ["description"] = Word() } } },
        };

        private string Word() => string.Create(CultureInfo.InvariantCulture, $"w{++words}{(char)('a' + random.Next(26))}{(Chance(8) ? "é\n\"" : "")}z");

        private double Number() => 1000 + ++words + (random.Next(2) / 2.0);

        private bool Chance(int oneIn) => random.Next(oneIn) == 0;
    }
}
