namespace Fossil;

/// <summary>A shard size, or the width of a Mini shard, does not fit the layer.</summary>
public sealed class ShardSizeException : FossilException
{
    /// <summary>Creates the exception; <paramref name="message"/> says what is wrong, where, and what to do.</summary>
    public ShardSizeException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
