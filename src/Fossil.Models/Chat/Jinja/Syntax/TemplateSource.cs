namespace Fossil.Models.Chat.Jinja;

/// <summary>A template's text, its lines ending in <c>\n</c> and without the last newline, and the errors that name a place in it.</summary>
internal sealed class TemplateSource
{
    public TemplateSource(string template)
    {
        var text = template.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        Text = text.EndsWith('\n') ? text[..^1] : text;
    }

    public string Text { get; }

    /// <summary>The error of a template that is no template.</summary>
    public ChatTemplateException SyntaxError(int offset, string problem) => Error(ChatTemplateErrorKind.Syntax, offset, problem);

    /// <summary>An error at a place, both counted from 1.</summary>
    public ChatTemplateException Error(ChatTemplateErrorKind kind, int offset, string problem, string? raised = null)
    {
        var before = Text.AsSpan(0, Math.Min(offset, Text.Length));
        var line = before.Count('\n') + 1;
        var column = before.Length - (before.LastIndexOf('\n') + 1) + 1;
        return new ChatTemplateException(kind, raised ?? $"The chat template, line {line}, column {column}: {problem}", line, column);
    }
}
