namespace Fossil;

/// <summary>
/// The backward pass of an adapted layer failed, as when its input was changed in place after the call. Nothing can be thrown there, so the parameters before it got no gradient, and this is
/// thrown by what the model is used for next: the optimizer's step, saving, or a forward pass that records a gradient.
/// </summary>
public sealed class AdapterBackwardException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public AdapterBackwardException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
