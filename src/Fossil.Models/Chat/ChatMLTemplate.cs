using System.Text.RegularExpressions;
using Fossil.Training;

namespace Fossil.Models.Chat;

/// <summary>SmolLM2, Qwen and many others. What differs is the system message where the conversation has none, and Qwen3's thoughts.</summary>
internal sealed partial class ChatMLTemplate : ChatTemplate
{
    private const string Start = "<|im_start|>";
    private const string ThoughtStart = "<think>";
    private const string ThoughtEnd = "</think>";

    private readonly string? defaultSystem;
    private readonly bool hasThoughts;

    public ChatMLTemplate(string jinja)
        : base(IsQwen(jinja) ? ChatFamily.Qwen : ChatFamily.ChatML)
    {
        hasThoughts = HasThoughts(jinja);
        defaultSystem = DefaultSystem().Match(jinja) is { Success: true } match ? match.Groups["text"].Value.Replace("\\n", "\n", StringComparison.Ordinal) : null;
    }

    public override string EndOfTurn => "<|im_end|>";

    private protected override void Render(IReadOnlyList<ConversationTurn> messages, bool addGenerationPrompt, List<ChatPart> parts)
    {
        if (defaultSystem is not null && messages[0].Role != SystemRole) parts.Add(new ChatPart(ChatPartKind.Markup, $"{Start}system\n{defaultSystem}{EndOfTurn}\n"));
        var lastQuery = LastQuery(messages);
        for (var i = 0; i < messages.Count; i++)
        {
            var (role, content) = messages[i];
            var isAnswer = role == AssistantRole;
            if (isAnswer && hasThoughts) content = WithThoughts(content, isAfterLastQuery: i > lastQuery, isLast: i == messages.Count - 1);
            parts.Add(new ChatPart(ChatPartKind.Markup, $"{Start}{role}\n"));
            parts.Add(new ChatPart(isAnswer ? ChatPartKind.Answer : ChatPartKind.Content, content));
            parts.Add(new ChatPart(isAnswer ? ChatPartKind.AnswerEnd : ChatPartKind.Markup, EndOfTurn));
            parts.Add(new ChatPart(ChatPartKind.Markup, "\n"));
        }

        if (addGenerationPrompt) parts.Add(new ChatPart(ChatPartKind.Markup, $"{Start}assistant\n"));
    }

    /// <summary>Qwen3 forgets the thoughts behind earlier answers, and gives the last answer empty ones where it has none.</summary>
    private static string WithThoughts(string content, bool isAfterLastQuery, bool isLast)
    {
        var thoughts = string.Empty;
        var end = content.IndexOf(ThoughtEnd, StringComparison.Ordinal);
        if (end >= 0)
        {
            thoughts = content[..end].TrimEnd('\n');
            thoughts = thoughts[(thoughts.LastIndexOf(ThoughtStart, StringComparison.Ordinal) is >= 0 and var start ? start + ThoughtStart.Length : 0)..].Trim('\n');
            content = content[(content.LastIndexOf(ThoughtEnd, StringComparison.Ordinal) + ThoughtEnd.Length)..].TrimStart('\n');
        }

        return isAfterLastQuery && (isLast || thoughts.Length > 0)
            ? $"{ThoughtStart}\n{thoughts}\n{ThoughtEnd}\n\n{content.TrimStart('\n')}"
            : content;
    }

    private static int LastQuery(IReadOnlyList<ConversationTurn> messages)
    {
        for (var i = messages.Count - 1; i >= 0; i--)
        {
            if (messages[i].Role == UserRole) return i;
        }

        return messages.Count - 1;
    }

    private static bool HasThoughts(string jinja) => jinja.Contains(ThoughtEnd, StringComparison.Ordinal);

    private static bool IsQwen(string jinja) => HasThoughts(jinja) || jinja.Contains("Qwen", StringComparison.Ordinal);

    // A whole system message in one literal; Jinja may hold its line feeds as they are or escaped.
    [GeneratedRegex(@"<\|im_start\|>system(?:\\n|\n)(?<text>[^'""{}<]+)<\|im_end\|>")]
    private static partial Regex DefaultSystem();
}
