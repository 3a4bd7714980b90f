namespace Fossil;

/// <summary>A base weight is held in a form that cannot be changed, such as quantised blocks, so that no adapter can be merged into it. No base weight was changed.</summary>
public sealed class WeightNotChangeableException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public WeightNotChangeableException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
