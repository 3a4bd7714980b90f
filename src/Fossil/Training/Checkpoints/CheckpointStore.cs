using System.Globalization;
using System.Text.RegularExpressions;
using Fossil.Serialization;

namespace Fossil.Training;

/// <summary>
/// The checkpoints of a run: folders <c>checkpoint-STEP</c> that hold the trained parameters, the optimizer's state and the run's. Each is written
/// under a hidden name, flushed, and renamed, so that a folder of that name is complete whenever the process is killed; it takes the place of another
/// by the protocol of <see cref="AtomicFolder"/>. An old one is renamed before it is deleted.
/// </summary>
internal sealed partial class CheckpointStore(string folder)
{
    private const string Prefix = "checkpoint-";
    private const string Probe = "checkpoint-probe";
    private const string OptimizerFile = "optimizer.safetensors";
    private readonly string folder = Path.GetFullPath(folder);

    /// <summary>The newest complete checkpoint's folder; where none is, the newest incomplete one's; null where there is none.</summary>
    public string? Latest => LatestBut(null);

    /// <summary>Creates the folder, tries whether it can be written, finishes what a killed process had begun, and removes what it left.</summary>
    /// <exception cref="OutputDirectoryException">It cannot be written.</exception>
    public void Prepare()
    {
        try
        {
            FileOperations.CreateFolder(folder);
            using var held = FolderLock.Exclusive(folder);
            using var probe = TemporaryFile.Create(folder, Probe);
            probe.Write(stream => stream.WriteByte(0));
            FolderCommit.Complete(folder);
            DeleteAbandoned(probe);
        }
        catch (Exception exception) when (FileOperations.IsFailure(exception))
        {
            throw new OutputDirectoryException($"The output folder {folder} cannot be written: {exception.Message} Choose another one, or change its permissions.", exception);
        }

        if (Checkpoints().LastOrDefault().Path is { } newest && newest != Latest)
            FossilWarnings.Report($"{newest} is no complete checkpoint: it lacks {CheckpointContents.FileName}. {Latest} is the last that is.");
    }

    /// <summary>The folder of a step's checkpoint.</summary>
    public string PathOf(int step) => Path.Combine(folder, NameOf(step));

    /// <summary><see cref="Latest"/> among the checkpoints other than that one.</summary>
    public string? LatestBut(string? path)
    {
        var others = Checkpoints().Select(checkpoint => checkpoint.Path).Where(other => other != path).ToList();
        return others.LastOrDefault(CheckpointContents.IsComplete) ?? others.LastOrDefault();
    }

    /// <summary>Writes the checkpoint of <paramref name="state"/>.</summary>
    /// <returns>Its folder.</returns>
    /// <exception cref="CheckpointWriteException">It could not be written; the others are untouched.</exception>
    public string Write(ITrainable model, IOptimizer optimizer, TrainerState state, RunIdentity run)
    {
        var final = PathOf(state.GlobalStep);
        var previous = Latest;
        try
        {
            using var checkpoint = UnfinishedCheckpoint.Create(folder, NameOf(state.GlobalStep));
            model.Save(checkpoint.Path);
            WriteOptimizer(optimizer, Path.Combine(checkpoint.Path, OptimizerFile));
            CheckpointContents.Write(checkpoint.Path, run, state, checkpoint.Files);
            checkpoint.Commit();
            return final;
        }
        catch (UnfinishedCommitException exception)
        {
            throw new CheckpointWriteException(final, exception);
        }
        catch (Exception exception) when (exception is AtomicWriteException { InnerException: not null } || FileOperations.IsFailure(exception))
        {
            var reason = exception is AtomicWriteException ? exception.InnerException! : exception;
            throw new CheckpointWriteException(final, reason.Message, previous, exception);
        }
    }

    /// <summary>Deletes all but the newest <paramref name="keep"/> checkpoints and that of <paramref name="best"/>.</summary>
    /// <exception cref="OutputDirectoryException">One cannot be removed; all are complete.</exception>
    public void Prune(int keep, int? best)
    {
        foreach (var (step, path) in Checkpoints().Where(checkpoint => CheckpointContents.IsComplete(checkpoint.Path)).SkipLast(keep).Where(checkpoint => checkpoint.Step != best))
        {
            // Renamed first: a process killed while deleting leaves no half checkpoint under its name.
            var hidden = Path.Combine(folder, HiddenName.Old(NameOf(step)));
            try
            {
                using var held = FolderLock.Exclusive(folder);
                if (Directory.Exists(path)) FileOperations.Move(path, hidden);
            }
            catch (Exception exception) when (FileOperations.IsFailure(exception))
            {
                throw new OutputDirectoryException($"{path} is one checkpoint more than are to be kept, and cannot be removed: {exception.Message} All checkpoints are complete. Delete it, and resume.", exception);
            }

            FileOperations.DeleteLeftover(hidden);
        }
    }

    /// <summary>Reads a checkpoint into the model and the optimizer.</summary>
    /// <returns>The state of its run.</returns>
    /// <exception cref="CheckpointReadException">It is incomplete or damaged, or does not fit the model.</exception>
    /// <exception cref="ResumeMismatchException">It is of a run with other data or other options.</exception>
    public static TrainerState Read(string path, ITrainable model, IOptimizer optimizer, RunIdentity run) => ReadRun(path, model, optimizer, run).State;

    /// <inheritdoc cref="Read"/>
    /// <returns>The run, and its state.</returns>
    public static CheckpointContents ReadRun(string path, ITrainable model, IOptimizer optimizer, RunIdentity run)
    {
        var contents = CheckpointContents.Read(path);
        _ = run.Resume(contents.Run, path);
        var optimizerFile = Path.Combine(path, OptimizerFile);
        Load(path, optimizerFile, () =>
        {
            using var file = SafetensorsFile.Open(optimizerFile);
            optimizer.SetState(name => file.Load(name));
        });

        // The model last: where the optimizer's state does not fit, nothing of it has changed.
        Load(path, path, () => model.Load(path));
        return contents;
    }

    /// <summary>Reads the parameters of a step's checkpoint into the model.</summary>
    /// <exception cref="CheckpointReadException">It is incomplete or damaged.</exception>
    public void ReadParameters(int step, ITrainable model)
    {
        var path = PathOf(step);
        CheckpointContents.Read(path);
        Load(path, path, () => model.Load(path));
    }

    /// <summary>The files are what was written, so what cannot be loaded does not fit the model.</summary>
    private static void Load(string path, string what, Action load)
    {
        try
        {
            load();
        }
        catch (Exception exception) when (exception is not CheckpointReadException)
        {
            throw CheckpointContents.Damaged(path, $"{what} does not fit the trained parameters: {exception.Message} Resume with the same model and adapters.", exception);
        }
    }

    private static void WriteOptimizer(IOptimizer optimizer, string path)
    {
        var tensors = optimizer.GetState();
        try
        {
            SafetensorsWriter.Save(path, tensors);
        }
        finally
        {
            foreach (var (_, tensor) in tensors) tensor.Dispose();
        }
    }

    private static string NameOf(int step) => Prefix + step.ToString(CultureInfo.InvariantCulture);

    private static int? StepOf(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : null;

    /// <summary>Deletes hidden folders that no process writes to, and what an earlier try left. A lock that <paramref name="own"/> does not show proves nothing.</summary>
    private void DeleteAbandoned(TemporaryFile own)
    {
        if (TemporaryFile.IsAbandoned(own.Path)) return;
        foreach (var path in Directory.EnumerateDirectories(folder).Where(IsHidden).Where(UnfinishedCheckpoint.IsAbandoned)) FileOperations.DeleteLeftover(path);
        foreach (var path in Directory.EnumerateFiles(folder).Where(path => HiddenName.FinalOf(Path.GetFileName(path)) is Probe or FolderJournal.FileName).Where(TemporaryFile.IsAbandoned)) FileOperations.DeleteLeftover(path);

        static bool IsHidden(string path) =>
            Path.GetFileName(path) is var name && ((HiddenName.FinalOf(name) is { } final && StepOf(final) is not null) || FirstVersion().IsMatch(name));
    }

    private List<(int Step, string Path)> Checkpoints()
    {
        if (!Directory.Exists(folder)) return [];
        return
        [
            .. from path in Directory.EnumerateDirectories(folder)
               let step = StepOf(Path.GetFileName(path))
               where step is not null
               orderby step
               select (step.Value, path),
        ];
    }

    /// <summary>The hidden names of this library's first version, which named the process.</summary>
    [GeneratedRegex(@"^\.checkpoint-[0-9]+-(?:[0-9]+|deleted)\z")]
    private static partial Regex FirstVersion();
}
