namespace Fossil.Models.Export;

/// <summary>A model or adapter cannot be written in the wanted form.</summary>
public sealed class ExportException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, and what to do.</summary>
    public ExportException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
