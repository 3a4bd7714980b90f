namespace Fossil;

/// <summary>An adapter of this name does not exist, or exists already.</summary>
public sealed class AdapterNameException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public AdapterNameException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
