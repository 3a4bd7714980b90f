using Fossil.Serialization;

namespace Fossil.Training;

/// <summary>
/// A checkpoint that is being written, under a hidden name. Disposing deletes it unless it was committed. A file in it stays open and locked
/// until then, so that another run does not take it for one that a killed process left behind.
/// </summary>
internal sealed class UnfinishedCheckpoint : IDisposable
{
    private const string OwnerFile = ".owner";
    private readonly string folder;
    private readonly string hiddenName;
    private readonly string finalName;
    private readonly FileStream owner;
    private bool isCommitted;

    private UnfinishedCheckpoint(string folder, string finalName)
    {
        (this.folder, this.finalName, hiddenName) = (folder, finalName, HiddenName.New(finalName));
        Path = System.IO.Path.Combine(folder, hiddenName);
        FileOperations.CreateFolder(Path);
        try
        {
            owner = FileOperations.Create(System.IO.Path.Combine(Path, OwnerFile), FileShare.None, bufferBytes: 0);
        }
        catch
        {
            FileOperations.DeleteLeftover(Path);
            throw;
        }
    }

    /// <summary>The folder under its hidden name.</summary>
    public string Path { get; }

    /// <summary>The files that were written into it, by their names with slashes.</summary>
    public IEnumerable<string> Files =>
        Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories).Select(path => System.IO.Path.GetRelativePath(Path, path).Replace('\\', '/')).Where(name => name != OwnerFile);

    /// <summary>Creates the hidden folder.</summary>
    /// <param name="folder">The folder of the run.</param>
    /// <param name="finalName">The name that it shall get.</param>
    public static UnfinishedCheckpoint Create(string folder, string finalName)
    {
        FileOperations.CreateFolder(folder);
        using var held = FolderLock.Exclusive(folder);
        return new UnfinishedCheckpoint(folder, finalName);
    }

    /// <summary>Whether no process is writing the checkpoint in this hidden folder. The caller holds the lock of the folder around it.</summary>
    public static bool IsAbandoned(string path) => System.IO.Path.Combine(path, OwnerFile) is var owner && (!File.Exists(owner) || TemporaryFile.IsAbandoned(owner));

    /// <summary>Gives the checkpoint its name; one that has it makes room for it in the same step.</summary>
    public void Commit()
    {
        foreach (var part in Directory.EnumerateDirectories(Path, "*", SearchOption.AllDirectories)) FileOperations.FlushFolder(part);
        using var held = FolderLock.Exclusive(folder);
        FolderCommit.Complete(folder);
        owner.Dispose();
        FileOperations.Delete(owner.Name);
        FileOperations.FlushFolder(Path);
        try
        {
            FolderCommit.Apply(folder, [new(hiddenName, finalName)]);
        }
        catch (UnfinishedCommitException)
        {
            isCommitted = true;
            throw;
        }

        isCommitted = true;
    }

    /// <summary>Deletes the folder where it was not committed.</summary>
    public void Dispose()
    {
        owner.Dispose();
        if (!isCommitted) FileOperations.DeleteLeftover(Path);
    }
}
