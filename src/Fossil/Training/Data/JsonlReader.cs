using System.Text.Json;

namespace Fossil.Training;

/// <summary>One turn of a conversation.</summary>
/// <param name="Role"><c>system</c>, <c>user</c> or <c>assistant</c>.</param>
/// <param name="Content">The text.</param>
public sealed record ConversationTurn(string Role, string Content)
{
    /// <summary>Whether the model wrote it, and so is to learn it.</summary>
    public bool IsAnswer => Role == "assistant";
}

/// <summary>One line of a data file: a conversation, or a prompt with its completion as two turns.</summary>
/// <param name="Line">Line number, from 1.</param>
/// <param name="Turns">The turns; at least one is an answer.</param>
/// <param name="IsPlainText">Whether it is a prompt and a completion, which are text as they stand where the caller has no chat template.</param>
public sealed record JsonlExample(long Line, IReadOnlyList<ConversationTurn> Turns, bool IsPlainText);

/// <summary>
/// Reads fine-tuning data, one JSON object a line, in the forms that Hugging Face's TRL and others take:
/// <c>{"messages": [{"role": …, "content": …}, …]}</c> or <c>{"prompt": …, "completion": …}</c>. Other fields are left alone; empty lines are skipped.
/// </summary>
public static class JsonlReader
{
    private const int QuotedCharacters = 40;
    private static readonly string[] Roles = ["system", "user", "assistant"];

    /// <summary>Reads a file.</summary>
    /// <exception cref="TrainingDataException">A line is not of these forms, or the file holds none; it names file and line.</exception>
    public static IReadOnlyList<JsonlExample> Read(string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new TrainingDataException(path, 0, $"cannot be read: {exception.Message}", exception);
        }

        var examples = new List<JsonlExample>();
        var rest = bytes.AsMemory();
        if (rest.Span.StartsWith("\uFEFF"u8)) rest = rest[3..];
        for (long line = 1; rest.Length > 0; line++)
        {
            var end = rest.Span.IndexOf((byte)'\n');
            var text = end < 0 ? rest : rest[..end];
            rest = end < 0 ? default : rest[(end + 1)..];
            if (text.Span.IndexOfAnyExcept(" \t\r"u8) >= 0) examples.Add(new LineParser(path, line).Parse(text));
        }

        return examples.Count > 0 ? examples : throw new TrainingDataException(path, 0, "holds no example.");
    }

    private sealed class LineParser(string path, long line)
    {
        public JsonlExample Parse(ReadOnlyMemory<byte> text)
        {
            try
            {
                using var document = JsonDocument.Parse(text);
                var root = document.RootElement;
                if (root.ValueKind != JsonValueKind.Object) throw Error($"must be a JSON object, not {Name(root)}.");
                if (root.TryGetProperty("messages", out var messages)) return new(line, Conversation(messages), IsPlainText: false);
                if (!root.TryGetProperty("prompt", out var prompt) || !root.TryGetProperty("completion", out var completion))
                {
                    var fields = string.Join(", ", root.EnumerateObject().Select(property => property.Name));
                    throw Error($"must have \"messages\", or \"prompt\" and \"completion\"; it has {(fields.Length == 0 ? "no field" : fields)}.");
                }

                return new(line, [new("user", Text(prompt, "prompt")), new("assistant", NotEmpty(Text(completion, "completion"), "completion"))], IsPlainText: true);
            }
            catch (JsonException exception)
            {
                throw new TrainingDataException(path, line, $"is not JSON: {exception.Message}", exception);
            }
            catch (InvalidOperationException exception)
            {
                // What JsonElement.GetString says about text that is not Unicode.
                throw new TrainingDataException(path, line, $"holds text that is not Unicode: {exception.Message}", exception);
            }
        }

        private List<ConversationTurn> Conversation(JsonElement messages)
        {
            if (messages.ValueKind != JsonValueKind.Array) throw Error($"\"messages\" must be an array, not {Name(messages)}.");
            var turns = messages.EnumerateArray().Select(Turn).ToList();
            return turns.Exists(turn => turn.IsAnswer) ? turns : throw Error("\"messages\" has no message of the role \"assistant\", so there is nothing to learn.");
        }

        private ConversationTurn Turn(JsonElement message, int index)
        {
            var where = $"messages[{index}]";
            if (message.ValueKind != JsonValueKind.Object) throw Error($"{where} must be an object, not {Name(message)}.");
            if (!message.TryGetProperty("role", out var role) || !message.TryGetProperty("content", out var content)) throw Error($"{where} must have \"role\" and \"content\".");
            var turn = new ConversationTurn(Text(role, $"{where}.role"), Text(content, $"{where}.content"));
            if (!Roles.Contains(turn.Role)) throw Error($"{where}.role is \"{Shorten(turn.Role)}\"; it must be one of {string.Join(", ", Roles)}.");
            return turn.IsAnswer ? turn with { Content = NotEmpty(turn.Content, $"{where}.content") } : turn;
        }

        private string Text(JsonElement element, string where) =>
            element.ValueKind == JsonValueKind.String ? element.GetString()! : throw Error($"{where} must be a string, not {Name(element)}.");

        private string NotEmpty(string text, string where) => text.Length > 0 ? text : throw Error($"{where} is empty, so there is nothing to learn.");

        private TrainingDataException Error(string reason) => new(path, line, reason);

        private static string Name(JsonElement element) => element.ValueKind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "an array",
            JsonValueKind.String => "a string",
            JsonValueKind.Number => "a number",
            JsonValueKind.True or JsonValueKind.False => "a truth value",
            _ => "null",
        };

        private static string Shorten(string text) => text.Length <= QuotedCharacters ? text : text[..QuotedCharacters] + "…";
    }
}
