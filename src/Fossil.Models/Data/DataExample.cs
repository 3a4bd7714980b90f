using System.Text.Json.Nodes;

namespace Fossil.Models.Data;

/// <summary>The form of a row.</summary>
public enum DataForm
{
    /// <summary>A conversation (<c>messages</c>, <c>conversations</c>, or a prompt and a completion that are lists of messages).</summary>
    Conversation,

    /// <summary>A prompt and its completion, text as it stands (<c>prompt</c>, <c>completion</c>).</summary>
    PromptCompletion,

    /// <summary>An instruction, perhaps with an input, and the output (Alpaca's <c>instruction</c>, <c>input</c>, <c>output</c>).</summary>
    Instruction,

    /// <summary>Text that is learned whole (<c>text</c>).</summary>
    Text,
}

/// <summary>A row of a data file, understood: what a model is given, and what of it is to be learned.</summary>
/// <param name="Row">Where it stands.</param>
/// <param name="Form">Its form.</param>
/// <param name="Messages">The conversation as a chat template takes it (<c>role</c>, <c>content</c>, <c>tool_calls</c>, …); of a prompt and a completion the two turns; empty for <see cref="DataForm.Text"/>.</param>
/// <param name="IsLearned">For each message, whether it is to be learned.</param>
public sealed record DataExample(DataRow Row, DataForm Form, JsonArray Messages, IReadOnlyList<bool> IsLearned)
{
    /// <summary>The fields that tell the form, such as <c>messages</c> or <c>prompt, completion</c>.</summary>
    public string Fields { get; init; } = string.Empty;

    /// <summary>The text of <see cref="DataForm.Text"/>.</summary>
    public string? Text { get; init; }

    /// <summary>The functions that the model may call (<c>tools</c>).</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>The documents that the model may quote (<c>documents</c>).</summary>
    public JsonArray? Documents { get; init; }

    /// <summary>Further variables of the chat template (<c>chat_template_kwargs</c>).</summary>
    public JsonObject? Variables { get; init; }

    /// <summary>The answer that was not preferred, where the row has a pair of them (<c>chosen</c>, <c>rejected</c>); the chosen one is in <see cref="Messages"/>.</summary>
    public JsonArray? Rejected { get; init; }

    /// <summary>Fields of the row that no form reads, such as <c>id</c>.</summary>
    public IReadOnlyList<string> IgnoredFields { get; init; } = [];
}
