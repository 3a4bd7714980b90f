namespace Fossil.Serialization;

/// <summary>
/// Writes a file so that its path names either the old content or the new one, whole, whenever the process or the machine stops:
/// a temporary file in the same folder, flushed to the disk, is renamed over it, and then the folder is flushed. It is <see cref="AtomicFolder"/> for a single file.
/// </summary>
public static class AtomicFile
{
    /// <summary>Writes <paramref name="path"/> atomically. Its folder is created where it does not exist.</summary>
    /// <param name="path">The file.</param>
    /// <param name="write">Writes the content; where it throws, the file stays as it was.</param>
    /// <exception cref="AtomicWriteException">The file could not be written; what was there before still is, unless <see cref="AtomicWriteException.IsCommitted"/>.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        path = Path.GetFullPath(path);
        var folder = Path.GetDirectoryName(path) ?? throw new AtomicWriteException(path, new IOException("It is the root of a file system."));
        AtomicFolder.Write(folder, path, static _ => false, [(Path.GetFileName(path), write)]);
    }
}
