namespace Fossil;

/// <summary>A module that should be adapted is not annotated with <see cref="FossilAdaptAttribute"/>, is not registered, or has no 2-D weight.</summary>
public sealed class NotAdaptableException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public NotAdaptableException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
