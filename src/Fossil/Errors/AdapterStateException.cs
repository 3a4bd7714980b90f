namespace Fossil;

/// <summary>The adapters are in a state (merged, disabled, attached already, detached) that the operation does not allow.</summary>
public sealed class AdapterStateException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public AdapterStateException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
