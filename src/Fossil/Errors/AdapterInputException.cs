namespace Fossil;

/// <summary>The input of an adapted layer has a shape or dtype that the layer cannot take.</summary>
public sealed class AdapterInputException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public AdapterInputException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
