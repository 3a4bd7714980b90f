namespace Fossil.Models.Chat;

/// <summary>A chat template is of no known family, or does not take the conversation.</summary>
public sealed class ChatTemplateException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, and what to do.</summary>
    public ChatTemplateException(string message)
        : base(message)
    {
    }
}
