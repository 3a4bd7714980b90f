namespace Fossil;

/// <summary>The base of every exception that this library throws on its own account.</summary>
public abstract class FossilException : Exception
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    protected FossilException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
