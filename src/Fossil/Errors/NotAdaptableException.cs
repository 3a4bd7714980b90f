namespace Fossil;

/// <summary>A module that should be adapted is not annotated with <see cref="FossilAdaptAttribute"/>, lacks its generated part, is not registered, or is no linear layer.</summary>
public sealed class NotAdaptableException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public NotAdaptableException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
