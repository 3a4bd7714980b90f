namespace Fossil.Serialization;

/// <summary>
/// Lets new contents take the place of old ones, all of them or none; see <see cref="AtomicFolder"/>. The caller holds the folder's lock.
/// Names may be those of files or of folders.
/// </summary>
internal static class FolderCommit
{
    /// <summary>Makes the changes. Where it throws anything but <see cref="UnfinishedCommitException"/>, the folder is as it was.</summary>
    /// <exception cref="UnfinishedCommitException">An operation failed, and so did undoing; or only the last flush did: the new contents count.</exception>
    public static void Apply(string folder, IReadOnlyList<FolderChange> changes)
    {
        if (changes.Count == 0) return;
        if (changes is [{ IsRemoval: false } only] && !Directory.Exists(Path.Combine(folder, only.Final)))
        {
            // The operating system itself lets one file take the place of another.
            FileOperations.Move(Path.Combine(folder, only.Hidden), Path.Combine(folder, only.Final));
            FlushRename(folder);
            return;
        }

        try
        {
            WriteJournal(folder, changes);
            foreach (var change in changes) Forward(folder, change);
            FileOperations.FlushFolder(folder);
        }
        catch (Exception exception)
        {
            if (TryUndo(folder, changes)) throw;
            throw new UnfinishedCommitException(exception, isNamed: false);
        }

        // Every name has its content now, so it does not matter any more whether the journal is there.
        FileOperations.DeleteLeftover(FolderJournal.PathIn(folder));
        foreach (var change in changes) DeleteOld(folder, change);
    }

    /// <summary>Finishes the changes of a process that was stopped while it made them.</summary>
    /// <exception cref="IOException">The journal is none, or a name cannot be changed; then the new contents count all the same.</exception>
    public static void Complete(string folder)
    {
        if (ReadJournal(folder) is not { } journal) return;
        foreach (var change in journal.Changes) Forward(folder, change);
        FileOperations.FlushFolder(folder);
        FileOperations.Delete(FolderJournal.PathIn(folder));
        foreach (var change in journal.Changes) DeleteOld(folder, change);
    }

    private static FolderJournal? ReadJournal(string folder)
    {
        try
        {
            return FolderJournal.Read(folder);
        }
        catch (InvalidDataException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }

    private static void WriteJournal(string folder, IReadOnlyList<FolderChange> changes)
    {
        using var journal = TemporaryFile.Create(folder, FolderJournal.FileName);
        journal.Write(stream => FolderJournal.Write(stream, changes));
        journal.Close();
        FileOperations.Move(journal.Path, FolderJournal.PathIn(folder));
        journal.GiveAway();
        FileOperations.FlushFolder(folder);
    }

    private static void FlushRename(string folder)
    {
        try
        {
            FileOperations.FlushFolder(folder);
        }
        catch (Exception exception) when (FileOperations.IsFailure(exception))
        {
            throw new UnfinishedCommitException(exception, isNamed: true);
        }
    }

    /// <summary>Puts the old content aside and gives the new one its name: at each moment between, <see cref="FolderJournal.PathOf"/> finds the new one.</summary>
    private static void Forward(string folder, FolderChange change)
    {
        var (hidden, final, old) = Paths(folder, change);
        if (!change.IsRemoval && !FileOperations.Exists(hidden)) return;
        if (FileOperations.Exists(final))
        {
            // What is no older state of the same thing is not put aside.
            if (!change.IsRemoval && Directory.Exists(final) != Directory.Exists(hidden)) throw new IOException($"'{final}' is a {(Directory.Exists(final) ? "folder" : "file")}.");
            FileOperations.Move(final, old);
        }

        if (!change.IsRemoval) FileOperations.Move(hidden, final);
    }

    /// <summary>The steps of <see cref="Forward"/> that were made, in reverse.</summary>
    private static void Backward(string folder, FolderChange change)
    {
        var (hidden, final, old) = Paths(folder, change);
        if (!change.IsRemoval && !FileOperations.Exists(hidden)) FileOperations.Move(final, hidden);
        if (FileOperations.Exists(old)) FileOperations.Move(old, final);
    }

    /// <summary>With the journal the new contents count, without it the old ones: it goes last, when all of these have their names again.</summary>
    private static bool TryUndo(string folder, IReadOnlyList<FolderChange> changes)
    {
        var journal = FolderJournal.PathIn(folder);
        if (!File.Exists(journal)) return true;
        try
        {
            foreach (var change in changes.Reverse()) Backward(folder, change);
            FileOperations.Delete(journal);
        }
        catch (Exception exception) when (FileOperations.IsFailure(exception))
        {
            return !File.Exists(journal);
        }

        return true;
    }

    private static void DeleteOld(string folder, FolderChange change)
    {
        var old = Path.Combine(folder, change.Old);
        if (FileOperations.Exists(old)) FileOperations.DeleteLeftover(old);
    }

    private static (string Hidden, string Final, string Old) Paths(string folder, FolderChange change) =>
        (Path.Combine(folder, change.Hidden), Path.Combine(folder, change.Final), Path.Combine(folder, change.Old));
}

/// <summary>An operation failed when the new contents already counted.</summary>
/// <param name="innerException">What failed.</param>
/// <param name="isNamed">Whether they have their names; otherwise the journal says where they are.</param>
internal sealed class UnfinishedCommitException(Exception innerException, bool isNamed) : Exception(innerException.Message, innerException)
{
    /// <summary>Whether the new contents have their names.</summary>
    public bool IsNamed { get; } = isNamed;
}
