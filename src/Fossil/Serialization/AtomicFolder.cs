namespace Fossil.Serialization;

/// <summary>
/// Writes several files of a folder so that they change together, whenever the process or the machine stops and whatever fails, and reads them together.
/// </summary>
/// <remarks>
/// <para>The protocol. A writer</para>
/// <list type="number">
/// <item>writes every new content to a hidden file beside its name (<c>.NAME.GUID.tmp</c>), which it keeps open, and flushes it to the disk;</item>
/// <item>locks the folder;</item>
/// <item>writes a journal (<c>.fossil.journal</c>, a JSON object from hidden to final name), flushes it, and renames it into place. From here on the new contents count;</item>
/// <item>for each name puts the old file aside (<c>.NAME.GUID.old</c>), gives the new one its name, and flushes the folder;</item>
/// <item>deletes the journal and the old files, and unlocks the folder.</item>
/// </list>
/// <para>
/// A reader holds the folder's lock together with other readers while it opens the files. It changes nothing, so it can read folders that it may not write: where a stopped
/// writer left a journal, it takes what still has a hidden name from there. Programs that know nothing of the journal see the files change one after the other.
/// </para>
/// <para>
/// A writer that is stopped before step 3 has changed nothing; the next one deletes its hidden files, which are no longer open anywhere. One that is stopped later is finished
/// by the next writer (or <see cref="Recover"/>), once it has the lock, which the operating system takes from a process that ends. If an operation fails in step 3 or 4, the
/// steps are undone in reverse, the journal's deletion last; if that fails too, the journal stays and the new contents count, which <see cref="AtomicWriteException.IsCommitted"/> tells.
/// </para>
/// <para>
/// Files whose content does not change are not touched, and a single file takes the place of another by a rename alone, without a journal: saving with an unchanged configuration is
/// one rename. Other files of the folder are left alone. Of two processes that save at once, the one that locks the folder last wins, whole. The lock is between processes of one
/// machine; from different machines, save one after the other.
/// </para>
/// </remarks>
public static class AtomicFolder
{
    /// <summary>Writes the files atomically. The folder is created where it does not exist.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="files">File names and what writes their content; where one throws, no file changes.</param>
    /// <exception cref="ArgumentException">A name is not that of a file in the folder, or occurs twice.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is, unless <see cref="AtomicWriteException.IsCommitted"/>.</exception>
    public static void Write(string folder, params IReadOnlyList<(string Name, Action<Stream> Write)> files) => Write(folder, static _ => false, files);

    /// <summary>Writes the files atomically, and removes those that they take the place of in the same step.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="replaces">Whether a file of that name goes, unless it is written.</param>
    /// <param name="files">File names and what writes their content; where one throws, no file changes.</param>
    /// <exception cref="ArgumentException">A name is not that of a file in the folder, or occurs twice.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is, unless <see cref="AtomicWriteException.IsCommitted"/>.</exception>
    public static void Write(string folder, Func<string, bool> replaces, params IReadOnlyList<(string Name, Action<Stream> Write)> files)
    {
        folder = Path.GetFullPath(folder);
        Write(folder, folder, replaces, files);
    }

    /// <summary>Opens or reads files of a folder that belong together: all are of the same save.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="read">Opens the files, at the path that the function it is given has for each name. Names do not change while it runs, so it should not take long; open files can be read later.</param>
    /// <returns>What <paramref name="read"/> returns.</returns>
    /// <exception cref="InvalidDataException">The folder's journal is none.</exception>
    public static T Read<T>(string folder, Func<Func<string, string>, T> read)
    {
        folder = Path.GetFullPath(folder);
        using var held = FolderLock.Shared(folder);
        return read(FolderJournal.Read(folder) is { } journal ? journal.PathOf : name => Path.Combine(folder, name));
    }

    /// <summary>Finishes what a stopped process had begun to rename, for programs that do not know of journals. <see cref="Read{T}"/> does without.</summary>
    /// <exception cref="InvalidDataException">The folder's journal is none.</exception>
    /// <exception cref="IOException">The folder holds a journal, but its files cannot be renamed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder holds a journal, but may not be written.</exception>
    public static void Recover(string folder)
    {
        if (FolderJournal.Read(folder) is null) return;
        using var held = FolderLock.Exclusive(folder);
        FolderCommit.Complete(folder);
    }

    /// <param name="folder">The folder.</param>
    /// <param name="path">What exceptions name.</param>
    /// <param name="replaces">Whether a file of that name goes, unless it is written.</param>
    /// <param name="files">File names and what writes their content.</param>
    internal static void Write(string folder, string path, Func<string, bool> replaces, IReadOnlyList<(string Name, Action<Stream> Write)> files)
    {
        CheckNames(files);
        var temporaries = new List<TemporaryFile>();
        try
        {
            FileOperations.CreateFolder(folder);
            using (FolderLock.Exclusive(folder))
            {
                FolderCommit.Complete(folder);
                foreach (var (name, _) in files)
                {
                    if (Directory.Exists(Path.Combine(folder, name))) throw new IOException($"'{Path.Combine(folder, name)}' is a folder.");
                    temporaries.Add(TemporaryFile.Create(folder, name));
                }

                DeleteAbandoned(folder, temporaries, replaces);
            }

            for (var i = 0; i < files.Count; i++) temporaries[i].Write(files[i].Write);
            using (FolderLock.Exclusive(folder))
            {
                // Since then, another process may have saved, or been stopped while it did.
                FolderCommit.Complete(folder);
                Commit(folder, temporaries, replaces);
            }
        }
        catch (UnfinishedCommitException exception)
        {
            throw new AtomicWriteException(path, exception);
        }
        catch (Exception exception) when (FileOperations.IsFailure(exception))
        {
            throw new AtomicWriteException(path, exception);
        }
        finally
        {
            foreach (var file in temporaries) file.Dispose();
        }
    }

    private static void Commit(string folder, List<TemporaryFile> temporaries, Func<string, bool> replaces)
    {
        var changed = temporaries.Where(file => !SameContent(Path.Combine(folder, file.FinalName), file.Path)).ToList();
        var written = temporaries.Select(file => file.FinalName).ToHashSet(StringComparer.Ordinal);
        var replaced = Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file)).Where(name => !written.Contains(name) && HiddenName.FinalOf(name) is null && replaces(name));
        List<FolderChange> changes = [.. changed.Select(file => new FolderChange(file.Name, file.FinalName)), .. replaced.Select(name => new FolderChange(HiddenName.Old(name), name))];
        foreach (var file in changed) file.Close();
        try
        {
            FolderCommit.Apply(folder, changes);
        }
        catch (UnfinishedCommitException)
        {
            changed.ForEach(file => file.GiveAway());
            throw;
        }

        changed.ForEach(file => file.GiveAway());
    }

    /// <summary>Deletes the hidden files of stopped processes for these names. Nobody has them open, which is only to be known where a file that is open looks it.</summary>
    private static void DeleteAbandoned(string folder, List<TemporaryFile> own, Func<string, bool> replaces)
    {
        if (own.Count == 0 || TemporaryFile.IsAbandoned(own[0].Path)) return;
        var names = own.Select(file => file.FinalName).Append(FolderJournal.FileName).ToHashSet(StringComparer.Ordinal);
        foreach (var path in Directory.EnumerateFiles(folder))
        {
            if (HiddenName.FinalOf(Path.GetFileName(path)) is { } final && (names.Contains(final) || replaces(final)) && TemporaryFile.IsAbandoned(path)) FileOperations.DeleteLeftover(path);
        }
    }

    private static void CheckNames(IReadOnlyList<(string Name, Action<Stream> Write)> files)
    {
        var names = new HashSet<string>(StringComparer.Ordinal) { FolderJournal.FileName };
        foreach (var (name, _) in files)
        {
            if (name is "" or "." or ".." || Path.GetFileName(name) != name || !names.Add(name)) throw new ArgumentException($"'{name}' is not the name of one file of the folder. Give each file a name without folders, once.", nameof(files));
        }
    }

    private static bool SameContent(string old, string @new)
    {
        const int BufferBytes = 1 << 16;
        if (!File.Exists(old)) return false;
        try
        {
            using var left = new FileStream(old, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            using var right = new FileStream(@new, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            if (left.Length != right.Length) return false;
            Span<byte> leftBytes = new byte[BufferBytes];
            Span<byte> rightBytes = new byte[BufferBytes];
            while (true)
            {
                var count = left.ReadAtLeast(leftBytes, BufferBytes, throwOnEndOfStream: false);
                if (right.ReadAtLeast(rightBytes, BufferBytes, throwOnEndOfStream: false) != count) return false;
                if (!leftBytes[..count].SequenceEqual(rightBytes[..count])) return false;
                if (count < BufferBytes) return true;
            }
        }
        catch (Exception exception) when (FileOperations.IsFailure(exception))
        {
            // What cannot be compared, because it may not be read or leads nowhere, is replaced.
            return false;
        }
    }
}
