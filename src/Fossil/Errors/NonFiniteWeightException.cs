namespace Fossil;

/// <summary>A safe merge found that the merged weight would hold NaN or infinity. No base weight was changed.</summary>
public sealed class NonFiniteWeightException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public NonFiniteWeightException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
