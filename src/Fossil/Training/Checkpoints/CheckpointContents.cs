using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Fossil.Serialization;

namespace Fossil.Training;

/// <summary>What <c>trainer_state.json</c> says: the state of the run, and which files belong to it. It is written last, so a folder that has it is complete.</summary>
/// <param name="FormatVersion">The version of the file.</param>
/// <param name="Run">What decides which examples each step sees.</param>
/// <param name="State">Where the run stands.</param>
/// <param name="Files">The other files, by their names with slashes, with their SHA-256.</param>
/// <param name="Sha256">SHA-256 of this file with zeros in the place of these digits; null in a file of this library's first version.</param>
internal sealed partial record CheckpointContents(int FormatVersion, RunIdentity Run, TrainerState State, Dictionary<string, string> Files, string? Sha256)
{
    /// <summary>The file's name in a checkpoint.</summary>
    public const string FileName = "trainer_state.json";

    private const int CurrentVersion = 1;
    private static readonly string NoHash = new('0', 2 * SHA256.HashSizeInBytes);

    /// <summary>What is in the file beside that. Where there is something, the hash is not missing because the file is old.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>Whether a folder holds a complete checkpoint.</summary>
    public static bool IsComplete(string folder) => File.Exists(Path.Combine(folder, FileName));

    /// <summary>Writes the state of a run into a folder whose other files are written.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="run">What decides which examples each step sees.</param>
    /// <param name="state">Where the run stands.</param>
    /// <param name="files">The names of the other files, with slashes.</param>
    public static void Write(string folder, RunIdentity run, TrainerState state, IEnumerable<string> files)
    {
        var hashes = new Dictionary<string, string>();
        foreach (var name in files)
        {
            FileOperations.FlushFile(Path.Combine(folder, name));
            hashes[name] = Hash(Path.Combine(folder, name));
        }

        var json = JsonSerializer.SerializeToUtf8Bytes(new CheckpointContents(CurrentVersion, run, state, hashes, NoHash), StateJson.Default.CheckpointContents);
        ReplaceHash(json, NoHash, Convert.ToHexStringLower(SHA256.HashData(json)));
        AtomicFile.Write(Path.Combine(folder, FileName), stream => stream.Write(json));
    }

    /// <summary>The run and its state, for other processes.</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, StateJson.Default.CheckpointContents);

    /// <summary>The inverse of <see cref="ToBytes"/>.</summary>
    public static CheckpointContents FromBytes(byte[] json) => JsonSerializer.Deserialize(json, StateJson.Default.CheckpointContents)!;

    /// <summary>Reads the state of a checkpoint, and checks it and the files that it names by their hashes.</summary>
    /// <exception cref="CheckpointReadException">It is incomplete or damaged.</exception>
    public static CheckpointContents Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        try
        {
            var json = File.ReadAllBytes(path);
            var contents = JsonSerializer.Deserialize(json, StateJson.Default.CheckpointContents);
            if (contents is not { FormatVersion: CurrentVersion }) throw Damaged(folder, $"{path} is of another version of this library, or no trainer state.");
            if ((contents.Sha256 is not null || contents.Others is not null) && !HasHash(json, contents.Sha256)) throw Damaged(folder, $"{path} is not what was written: its SHA-256 differs.");
            if (contents is not { Run: { Data: not null, DataFingerprint: not null }, State: { GlobalStep: >= 0, Logs: not null, Evaluations: not null }, Files: not null }) throw Damaged(folder, $"{path} lacks parts of a trainer state.");
            foreach (var (name, hash) in contents.Files) Check(folder, name, hash);
            return contents;
        }
        catch (Exception exception) when (exception is not CheckpointReadException)
        {
            throw Damaged(folder, $"{folder} is no checkpoint that can be read: {exception.Message}", exception);
        }
    }

    /// <summary>An error of a checkpoint, with what to do: the folder's name decides what a run resumes from.</summary>
    public static CheckpointReadException Damaged(string folder, string what, Exception? innerException = null)
    {
        var other = Path.GetDirectoryName(folder) is { } run ? new CheckpointStore(run).LatestBut(folder) : null;
        return new($"{what} " + (other is null ? "There is no other checkpoint: delete the folder to begin anew." : $"Delete {folder} to resume from {Path.GetFileName(other)}."), innerException);
    }

    private static void Check(string folder, string name, string hash)
    {
        var file = Path.GetFullPath(Path.Combine(folder, name));
        var isInside = file.StartsWith(Path.GetFullPath(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal);
        if (!isInside || !File.Exists(file)) throw Damaged(folder, $"{folder} lacks '{name}'.");
        if (Hash(file) != hash) throw Damaged(folder, $"{file} is not what was written: its SHA-256 differs.");
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static bool HasHash(byte[] json, string? hash) =>
        hash is not null && hash.Length == NoHash.Length && ReplaceHash(json, hash, NoHash) && Convert.ToHexStringLower(SHA256.HashData(json)) == hash;

    /// <summary>Puts another hash into the file, which has it at its end.</summary>
    private static bool ReplaceHash(Span<byte> json, string old, string @new)
    {
        var start = json.LastIndexOf(Encoding.ASCII.GetBytes(old));
        if (start < 0) return false;
        Encoding.ASCII.GetBytes(@new, json[start..]);
        return true;
    }

    /// <summary>The file's JSON, without reflection: a trimmed program has none for it.</summary>
    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, WriteIndented = true)]
    [JsonSerializable(typeof(CheckpointContents))]
    private sealed partial class StateJson : JsonSerializerContext;
}
