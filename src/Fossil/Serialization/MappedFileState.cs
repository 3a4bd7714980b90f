namespace Fossil.Serialization;

/// <summary>A file as it was when it was mapped. One that is written to afterwards changes weights under a model, and one that is cut short ends the process that reads beyond its end.</summary>
/// <param name="Path">The file.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="LastWrite">When it was last written to.</param>
internal sealed record MappedFileState(string Path, long Length, DateTime LastWrite)
{
    // The hub's cache shows its files by links, which have a length and a time of their own.
    private readonly string file = File.ResolveLinkTarget(Path, returnFinalTarget: true)?.FullName ?? Path;

    /// <summary>Compares the file with what it was. One that was removed, or replaced by a rename, is still there for those that have it mapped.</summary>
    /// <exception cref="MappedFileException">It was written to.</exception>
    public void Check()
    {
        var now = new FileInfo(file);
        if (!now.Exists || (now.Length == Length && now.LastWriteTimeUtc == LastWrite)) return;
        throw new MappedFileException(Path, $"'{Path}' has changed while its weights are in use: it had {Length:n0} bytes of {LastWrite:u}, and has {now.Length:n0} of {now.LastWriteTimeUtc:u}. What was computed since may be wrong. Load the model again; where files must change, load with mapped: false, or replace them by a rename and load again.");
    }
}
