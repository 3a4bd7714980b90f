using System.Text.Json.Nodes;

namespace Fossil.Models.Chat;

/// <summary>What a chat template is given besides the messages; the names are those of transformers' <c>apply_chat_template</c>.</summary>
public sealed record ChatTemplateOptions
{
    /// <summary>Whether to end with the beginning of the next answer.</summary>
    public bool AddGenerationPrompt { get; init; }

    /// <summary>Whether the text ends inside the last message, which the model then continues; not together with <see cref="AddGenerationPrompt"/>.</summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>The field of the last message that is continued.</summary>
    public string ContinuedField { get; init; } = "content";

    /// <summary>The functions that the model may call, as JSON schemas; null: none are spoken of. An empty list is passed as one.</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>The documents that the model may quote; null: none are spoken of.</summary>
    public JsonArray? Documents { get; init; }

    /// <summary>Further variables of the template, such as <c>enable_thinking</c>. One that is named like a special token (<c>bos_token</c>) takes its place.</summary>
    public JsonObject? Variables { get; init; }

    /// <summary>The name of one of the tokenizer's templates, or the text of another; null: <c>tool_use</c> where <see cref="Tools"/> are given and there is one, else <c>default</c>.</summary>
    public string? Template { get; init; }

    /// <summary>What the template's clock says; null: the local time.</summary>
    public DateTime? Now { get; init; }
}
