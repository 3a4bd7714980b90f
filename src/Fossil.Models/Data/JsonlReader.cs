using System.Text.Json.Nodes;
using Fossil.Models;
using Fossil.Models.Data;

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

/// <summary>Fine-tuning data as turns of text, for encodings of one's own; <see cref="ChatData"/> reads what such turns cannot say (tools, functions, thoughts, turns that are not to be learned).</summary>
public static class JsonlReader
{
    /// <summary>Reads a file of conversations, prompts with completions, or instructions (see <see cref="DataExamples"/>).</summary>
    /// <exception cref="TrainingDataException">A line is not of these forms, says more than turns of text can, or the file holds none; it names file and line.</exception>
    public static IReadOnlyList<JsonlExample> Read(string path) => [.. JsonRows.Read(path).Select(DataExamples.Parse).Select(example => new JsonlExample(
        example.Row.Line,
        [.. example.Messages.Select((message, index) => Turn(example, (JsonObject)message!, index))],
        example.Form == DataForm.PromptCompletion))];

    private static ConversationTurn Turn(DataExample example, JsonObject message, int index)
    {
        var (role, content) = ((string)message["role"]!, (string?)message["content"]);
        var other = message.Select(field => field.Key).FirstOrDefault(name => name is not ("role" or "content"));
        if (content is null || other is not null || (role == "assistant" && !example.IsLearned[index]) || example.Tools is not null)
        {
            throw example.Row.Error($"says more than turns of text can{(other is null ? "" : $" (messages[{index}].{other})")}: read the file with {nameof(ChatData)}.");
        }

        return new(role, content);
    }
}
