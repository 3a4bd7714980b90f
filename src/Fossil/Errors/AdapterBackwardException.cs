namespace Fossil;

/// <summary>The backward pass of an adapted layer failed: its gradients were set to NaN, and the next adapted forward pass throws this with the cause.</summary>
public sealed class AdapterBackwardException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public AdapterBackwardException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
