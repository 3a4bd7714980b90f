namespace Fossil;

/// <summary>A kernel could not be compiled for a CUDA device, or the device refused it.</summary>
public sealed class CudaException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public CudaException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
