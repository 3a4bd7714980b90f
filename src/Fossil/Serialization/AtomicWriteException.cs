namespace Fossil.Serialization;

/// <summary>A file could not be written (full disk, missing permission, …). What was there before is still there, complete.</summary>
/// <param name="path">The file or folder.</param>
/// <param name="innerException">What the operating system said.</param>
public sealed class AtomicWriteException(string path, Exception innerException)
    : FossilException($"'{path}' could not be written: {innerException.Message} What was there before is unchanged. Make room or choose another folder, and save again.", innerException)
{
    /// <summary>The file or folder.</summary>
    public string Path { get; } = path;
}
