namespace Fossil.Models.Chat;

/// <summary>A chat template cannot be run, or does not take the conversation.</summary>
public sealed class ChatTemplateException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, and what to do.</summary>
    public ChatTemplateException(string message)
        : base(message)
    {
    }

    internal ChatTemplateException(ChatTemplateErrorKind kind, string message, int? line = null, int? column = null)
        : base(message)
    {
        (Kind, Line, Column) = (kind, line, column);
    }

    /// <summary>Why it failed.</summary>
    public ChatTemplateErrorKind Kind { get; }

    /// <summary>The template's line where it failed, counted from 1; null where no line is to blame.</summary>
    public int? Line { get; }

    /// <summary>The character of <see cref="Line"/>, counted from 1.</summary>
    public int? Column { get; }
}
