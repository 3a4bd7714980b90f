namespace Fossil.Models.Chat.Jinja;

/// <summary>A failure while a template runs; the statement or expression that runs adds the place, and makes a <see cref="ChatTemplateException"/> of it.</summary>
internal sealed class JinjaError(ChatTemplateErrorKind kind, string problem, string? raised = null) : Exception(problem)
{
    public ChatTemplateErrorKind Kind => kind;

    /// <summary>What the template itself said (<c>raise_exception</c>), which is the whole message.</summary>
    public string? Raised => raised;

    public static JinjaError Type(string problem) => new(ChatTemplateErrorKind.Type, problem);

    public static JinjaError Value(string problem) => new(ChatTemplateErrorKind.Value, problem);

    public static JinjaError Runtime(string problem) => new(ChatTemplateErrorKind.Runtime, problem);
}
