namespace Fossil;

/// <summary>Adapters of these kinds or sizes cannot be combined or converted in this way.</summary>
public sealed class AdapterCombinationException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public AdapterCombinationException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
