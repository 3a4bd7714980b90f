using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Fossil.Serialization;

namespace Fossil.Training;

/// <summary>
/// The checkpoints of a run: folders <c>checkpoint-STEP</c> that hold the trained parameters, the optimizer's state and the run's. Each is written
/// under a hidden name, flushed, and renamed, so that a folder of that name is complete whenever the process is killed.
/// </summary>
internal sealed partial class CheckpointStore(string folder)
{
    private const string Prefix = "checkpoint-";
    private const string TemporaryPrefix = ".checkpoint-";
    private const string OptimizerFile = "optimizer.safetensors";
    private const string StateFile = "trainer_state.json";
    private const int FormatVersion = 1;

    private readonly string folder = Path.GetFullPath(folder);

    /// <summary>The newest checkpoint's folder; null where there is none.</summary>
    public string? Latest => Checkpoints().Select(checkpoint => checkpoint.Path).LastOrDefault();

    /// <summary>Creates the folder, tries whether it can be written, and removes what a killed process left.</summary>
    /// <exception cref="OutputDirectoryException">It cannot be written.</exception>
    public void Prepare()
    {
        try
        {
            Directory.CreateDirectory(folder);
            var probe = Path.Combine(folder, $"{TemporaryPrefix}probe-{Environment.ProcessId}");
            File.WriteAllBytes(probe, [0]);
            File.Delete(probe);
            foreach (var abandoned in Directory.GetDirectories(folder, TemporaryPrefix + "*")) Directory.Delete(abandoned, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new OutputDirectoryException($"The output folder {folder} cannot be written: {exception.Message} Choose another one, or change its permissions.", exception);
        }
    }

    /// <summary>The folder of a step's checkpoint.</summary>
    public string PathOf(int step) => Path.Combine(folder, Prefix + step.ToString(CultureInfo.InvariantCulture));

    /// <summary>Writes the checkpoint of <paramref name="state"/>.</summary>
    /// <returns>Its folder.</returns>
    /// <exception cref="CheckpointWriteException">It could not be written; the others are untouched.</exception>
    public string Write(ITrainable model, FusedAdamW optimizer, TrainerState state, RunIdentity run)
    {
        var final = PathOf(state.GlobalStep);
        var previous = Latest;
        var temporary = Path.Combine(folder, $"{TemporaryPrefix}{state.GlobalStep}-{Environment.ProcessId}");
        try
        {
            Directory.CreateDirectory(temporary);
            model.Save(temporary);
            WriteOptimizer(optimizer, Path.Combine(temporary, OptimizerFile));
            var files = Directory.GetFiles(temporary).ToDictionary(path => Path.GetFileName(path), Hash);
            AtomicFile.Write(Path.Combine(temporary, StateFile), stream => JsonSerializer.Serialize(stream, new Contents(FormatVersion, run, state, files), StateJson.Default.Contents));
            if (Directory.Exists(final)) Directory.Delete(final, recursive: true);
            Directory.Move(temporary, final);
            FolderFlush.Flush(folder);
            return final;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or AtomicWriteException || IsTooLarge(exception))
        {
            Discard(temporary);
            throw new CheckpointWriteException(final, exception.Message, previous, exception);
        }
    }

    /// <summary>Deletes all but the newest <paramref name="keep"/> checkpoints and that of <paramref name="best"/>.</summary>
    public void Prune(int keep, int? best)
    {
        foreach (var (step, path) in Checkpoints().SkipLast(keep))
        {
            if (step == best) continue;

            // Renamed first: a process killed while deleting leaves no half checkpoint under its name.
            var hidden = Path.Combine(folder, $"{TemporaryPrefix}{step}-deleted");
            Directory.Move(path, hidden);
            Directory.Delete(hidden, recursive: true);
        }
    }

    /// <summary>Reads a checkpoint into the model and the optimizer.</summary>
    /// <returns>The state of its run.</returns>
    /// <exception cref="CheckpointReadException">It is incomplete or damaged.</exception>
    /// <exception cref="ResumeMismatchException">It is of a run with other data or other options.</exception>
    public static TrainerState Read(string path, ITrainable model, FusedAdamW optimizer, RunIdentity run)
    {
        var contents = ReadContents(path);
        run.Require(contents.Run, path);
        foreach (var (name, hash) in contents.Files)
        {
            var file = Path.Combine(path, name);
            if (Path.GetFileName(name) != name || !File.Exists(file)) throw new CheckpointReadException($"{path} lacks '{name}'. Resume from another checkpoint.");
            if (Hash(file) != hash) throw new CheckpointReadException($"{file} is not what was written: its SHA-256 differs. Resume from another checkpoint.");
        }

        // The model last: where the optimizer's state does not fit, nothing of it has changed.
        ReadOptimizer(optimizer, Path.Combine(path, OptimizerFile));
        model.Load(path);
        return contents.State;
    }

    private static Contents ReadContents(string path)
    {
        var file = Path.Combine(path, StateFile);
        try
        {
            using var stream = File.OpenRead(file);
            var contents = JsonSerializer.Deserialize(stream, StateJson.Default.Contents);
            if (contents is { FormatVersion: FormatVersion, Run: not null, State: { Logs: not null, Evaluations: not null }, Files: not null }) return contents;
            throw new CheckpointReadException($"{file} is of another version of this library, or no trainer state.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CheckpointReadException($"{path} is no checkpoint that can be read: {exception.Message}", exception);
        }
    }

    private static void WriteOptimizer(FusedAdamW optimizer, string path)
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

    private static void ReadOptimizer(FusedAdamW optimizer, string path)
    {
        try
        {
            using var file = SafetensorsFile.Open(path);
            optimizer.SetState(name => file.Load(name));
        }
        catch (Exception exception) when (exception is SafetensorsException or ArgumentException or IOException)
        {
            throw new CheckpointReadException($"{path} does not fit the trained parameters: {exception.Message} Resume with the same model and adapters.", exception);
        }
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>.NET reports EFBIG, a file above the limit of the file system or of the user, as this.</summary>
    private static bool IsTooLarge(Exception exception) => exception is ArgumentOutOfRangeException { ParamName: "value" };

    /// <summary>What cannot be removed now is removed by the next <see cref="Prepare"/>; the reason to report is why it could not be written.</summary>
    private static void Discard(string temporary)
    {
        try
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            System.Diagnostics.Trace.TraceWarning($"{temporary} could not be removed: {exception.Message}");
        }
    }

    private List<(int Step, string Path)> Checkpoints()
    {
        if (!Directory.Exists(folder)) return [];
        return Directory.GetDirectories(folder, Prefix + "*")
            .Select(path => (Known: int.TryParse(Path.GetFileName(path)[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var step), Step: step, path))
            .Where(checkpoint => checkpoint.Known)
            .OrderBy(checkpoint => checkpoint.Step)
            .Select(checkpoint => (checkpoint.Step, checkpoint.path))
            .ToList();
    }

    private sealed record Contents(int FormatVersion, RunIdentity Run, TrainerState State, Dictionary<string, string> Files);

    /// <summary>The JSON of <see cref="StateFile"/>, without reflection: a trimmed program has none for it.</summary>
    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, WriteIndented = true)]
    [JsonSerializable(typeof(Contents))]
    private sealed partial class StateJson : JsonSerializerContext;
}
