using System.Text.Json.Nodes;
using Fossil.Models.Chat.Jinja;
using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>What a template is given, as Python's values, prepared as transformers' <c>apply_chat_template</c> does.</summary>
internal sealed record ChatConversation
{
    private const string Role = "role";
    private const string Content = "content";
    private const string Thinking = "thinking";
    private const string ReasoningContent = "reasoning_content";

    // Names of a thinking model's thoughts; the first that a message has counts.
    private static readonly string[] Thoughts = [ReasoningContent, Thinking, "reasoning"];

    private static readonly string[] OwnVariables = ["messages", "tools", "documents", "add_generation_prompt"];

    private ChatConversation(IReadOnlyList<PythonDict> messages, ChatTemplateOptions options)
    {
        Messages = messages;
        Options = options;
        Now = options.Now ?? DateTime.Now;
        tools = JsonText.FromConversation(options.Tools);
        documents = JsonText.FromConversation(options.Documents);
        if (options.Variables?.FirstOrDefault(variable => OwnVariables.Contains(variable.Key)).Key is { } taken) throw new ChatTemplateException($"'{taken}' is given to every template, and so can be no further variable.");
    }

    private readonly object tools;
    private readonly object documents;

    /// <summary>The messages.</summary>
    public IReadOnlyList<PythonDict> Messages { get; private init; }

    /// <summary>What else the template is given.</summary>
    public ChatTemplateOptions Options { get; private init; }

    /// <summary>What the clock says, in all renderings of this conversation.</summary>
    public DateTime Now { get; }

    /// <exception cref="ChatTemplateException">There are no messages.</exception>
    public static ChatConversation Of(IReadOnlyList<ConversationTurn> turns, ChatTemplateOptions options)
    {
        ArgumentNullException.ThrowIfNull(turns);
        return Of(turns.Select(turn => new PythonDict { [Role] = MarkedText.FromConversation(turn.Role), [Content] = MarkedText.FromConversation(turn.Content) }), options);
    }

    /// <exception cref="ChatTemplateException">There are no messages, or one is no object.</exception>
    public static ChatConversation Of(JsonArray messages, ChatTemplateOptions options)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return Of(messages.Select((message, index) => message is JsonObject ? (PythonDict)JsonText.FromConversation(message) : throw new ChatTemplateException($"Message {index} is no JSON object.")), options);
    }

    private static ChatConversation Of(IEnumerable<PythonDict> messages, ChatTemplateOptions options)
    {
        var prepared = messages.Select(Prepare).ToList();
        return prepared.Count > 0 ? new ChatConversation(prepared, options) : throw new ChatTemplateException("A conversation without messages cannot be written.");
    }

    /// <summary>The first messages, with or without the beginning of the next answer.</summary>
    public ChatConversation Until(int count, bool addGenerationPrompt) => this with { Messages = [.. Messages.Take(count)], Options = Options with { AddGenerationPrompt = addGenerationPrompt } };

    /// <summary>The same with another last message.</summary>
    public ChatConversation And(PythonDict message) => this with { Messages = [.. Messages, message] };

    /// <summary>Whether a message is the model's.</summary>
    public bool IsAnswer(int index) => Messages[index].TryGet(Role, out var role) && role is MarkedText { Value: "assistant" };

    /// <summary>A message of the model's.</summary>
    public static PythonDict Answer(string content) => new() { [Role] = MarkedText.FromConversation("assistant"), [Content] = MarkedText.FromConversation(content) };

    /// <summary>The template's variables.</summary>
    /// <param name="specialTokens">The texts of the tokenizer's tokens that have a role.</param>
    public Dictionary<string, object> Variables(IReadOnlyDictionary<string, string> specialTokens)
    {
        var variables = specialTokens.ToDictionary(token => token.Key, object (token) => new MarkedText(token.Value));
        foreach (var (name, value) in Options.Variables ?? [])
        {
            // Who names a special token says what marker the template writes; all else is text of somebody's.
            variables[name] = Tokenizers.SpecialTokenTexts.Roles.Any(role => role.Name == name) && JsonText.FromConversation(value) is MarkedText marker ? new MarkedText(marker.Value) : JsonText.FromConversation(value);
        }

        variables["messages"] = new PythonList(Messages);
        variables["tools"] = tools;
        variables["documents"] = documents;
        variables["add_generation_prompt"] = Options.AddGenerationPrompt;
        return variables;
    }

    /// <summary>The same, the last message's continued field ending in <paramref name="tag"/>.</summary>
    /// <param name="tag">What is appended.</param>
    /// <param name="template">The template's text.</param>
    /// <returns>The conversation, and what is continued.</returns>
    /// <exception cref="ChatTemplateException">There is no such field, the template does not write it, or it has no text.</exception>
    public (ChatConversation Tagged, MarkedText Continued) TagFinalMessage(MarkedText tag, string template)
    {
        var field = Options.ContinuedField;
        if (Options.AddGenerationPrompt) throw new ChatTemplateException("A text that continues the last message cannot also begin the next answer: choose ContinueFinalMessage or AddGenerationPrompt.");
        if (!Messages[^1].TryGet(field, out var value)) throw new ChatTemplateException($"The last message has no '{field}' to continue.");
        if (!template.Contains(field, StringComparison.Ordinal)) throw new ChatTemplateException($"The template does not write '{field}', so it cannot be continued.");
        var last = Messages[^1].Copy();
        var (tagged, continued) = Tag(value);
        foreach (var name in Thoughts.Contains(field) ? Thoughts.Where(name => last.TryGet(name, out _)) : [field]) last[name] = name == field ? tagged : last.TryGet(name, out var copy) ? Tag(copy).Tagged : tagged;
        return (this with { Messages = [.. Messages.Take(Messages.Count - 1), last] }, continued);

        (object Tagged, MarkedText Text) Tag(object content)
        {
            if (content is MarkedText text) return (Append(text), text);
            if (content is PythonList parts)
            {
                for (var i = parts.Count - 1; i >= 0; i--)
                {
                    if (parts[i] is not PythonDict part || !part.TryGet("text", out var written) || written is not MarkedText last) continue;
                    var copy = part.Copy();
                    copy["text"] = Append(last);
                    return (new PythonList([.. parts.Take(i), copy, .. parts.Skip(i + 1)]), last);
                }
            }

            throw new ChatTemplateException($"The last message's '{field}' has no text to continue.");
        }

        MarkedText Append(MarkedText text) => new MarkedTextBuilder().Append(text).Append(tag).ToText();
    }

    /// <summary>Drops what is null, and gives a thinking model's thoughts the names that templates read.</summary>
    private static PythonDict Prepare(PythonDict message)
    {
        var kept = message.Where(entry => entry.Value is not None).ToList();
        object? Find(string name) => kept.Find(entry => entry.Key is MarkedText key && key.Value == name).Value;
        var thought = Thoughts.Select(Find).FirstOrDefault(value => value is not null);
        var result = new PythonDict();

        // As transformers: the first key, wherever it was.
        if (thought is not null) result[Thinking] = Find(Thinking) ?? thought;
        foreach (var (key, value) in kept) result.Set(key, value);
        if (thought is not null) result[ReasoningContent] = thought;
        return result;
    }
}
