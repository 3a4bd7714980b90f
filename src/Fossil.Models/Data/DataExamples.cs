using System.Text.Json.Nodes;
using Fossil.Training;

namespace Fossil.Models.Data;

/// <summary>
/// Understands rows of data files in the forms that TRL, OpenAI, ShareGPT and Alpaca have: <c>messages</c>; <c>conversations</c>; <c>prompt</c> and <c>completion</c>, each text or a list of messages;
/// <c>chosen</c> and <c>rejected</c>; <c>instruction</c>, <c>input</c> and <c>output</c>; <c>text</c>. With them go <c>tools</c>, <c>functions</c>, <c>documents</c>, <c>system</c> and
/// <c>chat_template_kwargs</c>. Other fields are left alone and counted.
/// </summary>
public static class DataExamples
{
    private const string Assistant = "assistant";

    /// <summary>The fields that tell a form, the likelier to be meant first, and how it is read.</summary>
    private static readonly (string[] Fields, Func<RowReader, string, DataExample> Read)[] Forms =
    [
        (["messages"], Conversation),
        (["conversations"], Conversation),
        (["conversation"], Conversation),
        (["chosen", "rejected"], (reader, _) => Preference(reader)),
        (["prompt", "completion"], (reader, _) => PromptCompletion(reader)),
        (["instruction", "output"], (reader, _) => Instruction(reader)),
        (["text"], (reader, field) => new DataExample(null!, DataForm.Text, [], []) { Text = NotEmpty(reader, reader.Text(field), field) }),
    ];

    /// <summary>Understands a row.</summary>
    /// <exception cref="TrainingDataException">It has none of these forms, or a field says something else than its form wants; it names file, line and field.</exception>
    public static DataExample Parse(DataRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        var fields = new RowReader(row);
        var (form, read) = Forms.FirstOrDefault(form => fields.Has(form.Fields));
        if (form is null) throw Unknown(fields, row);
        var example = read(fields, form[0]) with { Row = row, Fields = string.Join(", ", form) };
        if (example.Form == DataForm.Text) return example with { Row = row, IgnoredFields = fields.Unread };
        return example with
        {
            Row = row,
            Tools = fields.OptionalArray("tools") ?? Functions(fields),
            Documents = fields.OptionalArray("documents"),
            Variables = fields.OptionalObject("chat_template_kwargs"),
            IgnoredFields = fields.Unread,
        };
    }

    private static DataExample Conversation(RowReader reader, string field)
    {
        var (messages, mayLearn) = new MessageReader(reader).Read(reader.Take(field), field);
        if (messages.Count > 0 && (string?)messages[0]["role"] != "system") AddSystem(reader, messages, mayLearn);
        if (!messages.Exists(IsAnswer)) throw reader.Error($"\"{field}\" has no message of the role \"{Assistant}\", so there is nothing to learn.");
        return new(null!, DataForm.Conversation, [.. messages], mayLearn);
    }

    private static DataExample PromptCompletion(RowReader reader)
    {
        var (prompt, completion) = (reader.Take("prompt"), reader.Take("completion"));
        if (completion is not JsonArray && prompt is not JsonArray)
        {
            return new(null!, DataForm.PromptCompletion, Turns(reader.Text("prompt"), NotEmpty(reader, reader.Text("completion"), "completion")), [false, true]);
        }

        return Continued(reader, prompt, "prompt", completion, "completion");
    }

    private static DataExample Preference(RowReader reader)
    {
        var (chosen, rejected) = (reader.Take("chosen"), reader.Take("rejected"));
        if (chosen is not JsonArray)
        {
            var prompt = reader.Text("prompt");
            return new(null!, DataForm.PromptCompletion, Turns(prompt, NotEmpty(reader, reader.Text("chosen"), "chosen")), [false, true]) { Rejected = [Message(Assistant, reader.Text("rejected"))] };
        }

        // Without a prompt, what both conversations begin with is it.
        var (other, _) = new MessageReader(reader).Read(rejected, "rejected");
        var example = reader.Has("prompt") ? Continued(reader, reader.Take("prompt"), "prompt", chosen, "chosen") : Continued(reader, new JsonArray(), "prompt", chosen, "chosen");
        var shared = reader.Has("prompt") ? 0 : example.Messages.Zip(other).TakeWhile(pair => JsonNode.DeepEquals(pair.First, pair.Second)).Count();
        return example with { IsLearned = [.. example.IsLearned.Select((learned, index) => learned && index >= shared)], Rejected = [.. other.Skip(shared)] };
    }

    /// <summary>Messages of a prompt, which are not learned, and those that follow.</summary>
    private static DataExample Continued(RowReader reader, JsonNode? prompt, string promptField, JsonNode? completion, string completionField)
    {
        var messages = new MessageReader(reader);
        var (before, _) = prompt is JsonArray ? messages.Read(prompt, promptField) : ([Message("user", reader.Text(prompt, promptField))], []);
        var (after, mayLearn) = completion is JsonArray ? messages.Read(completion, completionField) : ([Message(Assistant, NotEmpty(reader, reader.Text(completion, completionField), completionField))], [true]);
        if (!after.Exists(IsAnswer)) throw reader.Error($"\"{completionField}\" has no message of the role \"{Assistant}\", so there is nothing to learn.");
        return new(null!, DataForm.Conversation, [.. before, .. after], [.. before.Select(_ => false), .. mayLearn]);
    }

    private static DataExample Instruction(RowReader reader)
    {
        var (instruction, input) = (reader.Text("instruction"), reader.OptionalText("input"));
        List<JsonObject> messages = [];
        foreach (var (pair, index) in (reader.OptionalArray("history") ?? []).Select((pair, index) => (pair, index)))
        {
            if (pair is not JsonArray { Count: 2 } turns) throw reader.Error($"history[{index}] must be an array of a question and its answer, not {JsonNames.Of(pair)}.");
            messages.AddRange([Message("user", reader.Text(turns[0], $"history[{index}][0]")), Message(Assistant, reader.Text(turns[1], $"history[{index}][1]"))]);
        }

        messages.AddRange(Turns(input.Length == 0 ? instruction : $"{instruction}\n{input}", NotEmpty(reader, reader.Text("output"), "output")).Select(turn => (JsonObject)turn!.DeepClone()));
        var learned = messages.ConvertAll(IsAnswer);
        AddSystem(reader, messages, learned);
        return new(null!, DataForm.Instruction, [.. messages], learned);
    }

    private static void AddSystem(RowReader reader, List<JsonObject> messages, List<bool> learned)
    {
        if (reader.OptionalText("system") is not { Length: > 0 } system) return;
        messages.Insert(0, Message("system", system));
        learned.Insert(0, false);
    }

    /// <summary>The older list of functions that OpenAI had before tools.</summary>
    private static JsonArray? Functions(RowReader reader) => reader.OptionalArray("functions") is { } functions
        ? new JsonArray([.. functions.Select(function => new JsonObject { ["type"] = "function", ["function"] = function?.DeepClone() })])
        : null;

    private static bool IsAnswer(JsonObject message) => (string?)message["role"] == Assistant;

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };

    private static JsonArray Turns(string prompt, string answer) => [Message("user", prompt), Message(Assistant, answer)];

    private static string NotEmpty(RowReader reader, string text, string field) => text.Length > 0 ? text : throw reader.Error($"{field} is empty, so there is nothing to learn.");

    private static TrainingDataException Unknown(RowReader reader, DataRow row)
    {
        var names = string.Join(", ", row.Value.Select(field => field.Key));
        return reader.Error($"must have \"messages\", \"conversations\", \"prompt\" and \"completion\", \"chosen\" and \"rejected\", \"instruction\" and \"output\", or \"text\"; it has {(names.Length == 0 ? "no field" : names)}.");
    }
}
