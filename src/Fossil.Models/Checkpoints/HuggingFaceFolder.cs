using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>A Hugging Face folder, opened: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index. All files are of the same save.</summary>
internal sealed class HuggingFaceFolder : ITensorSource, IDisposable
{
    public const string SingleFile = "model.safetensors";
    public const string IndexFile = "model.safetensors.index.json";

    private readonly List<SafetensorsFile> files = [];
    private readonly Dictionary<string, SafetensorsFile> fileOf = new(StringComparer.Ordinal);

    private HuggingFaceFolder(string folder, Func<string, string> pathOf)
    {
        Path = folder;
        try
        {
            foreach (var path in FindTensorFiles(folder, pathOf)) files.Add(SafetensorsFile.Open(path));
            foreach (var file in files)
            {
                foreach (var name in file.Names) fileOf[name] = file;
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Path { get; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => fileOf.Keys;

    /// <summary>Opens a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="readConfig">Reads the configuration, before anything else of the folder is looked at.</param>
    /// <param name="config">What it says, with what the folder says of generation.</param>
    /// <exception cref="CheckpointException">A file is missing, or the configuration or the index is malformed.</exception>
    /// <exception cref="SafetensorsException">A tensor file is malformed.</exception>
    public static HuggingFaceFolder Open(string folder, Func<ModelConfigReader, CausalLMConfig> readConfig, out CausalLMConfig config)
    {
        try
        {
            (config, var tensors) = AtomicFolder.Read(folder, pathOf =>
            {
                if (!File.Exists(pathOf(CausalLMConfig.FileName)) && File.Exists(pathOf(AdapterConfig.FileName))) throw new CheckpointException($"{folder} holds an adapter, not a model. Load the model that its {AdapterConfig.FileName} names, and then the adapter into it: model.{nameof(AdapterExtensions.LoadPretrained)}(folder).");
                var read = readConfig(ModelConfigReader.Open(pathOf(CausalLMConfig.FileName)));
                var generation = pathOf(GenerationConfig.FileName);
                if (File.Exists(generation)) read = read with { Generation = GenerationConfig.Load(generation, read.VocabSize) };
                return (read, new HuggingFaceFolder(folder, pathOf));
            });
            return tensors;
        }
        catch (InvalidDataException exception)
        {
            throw new CheckpointException(exception.Message, exception);
        }
    }

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Contains(string name) => fileOf.ContainsKey(name);

    /// <summary>What the file's header says about a tensor that is there.</summary>
    public SafetensorInfo InfoOf(string name) => fileOf[name].GetInfo(name);

    /// <summary>The dtype of the first tensor that has one in which models compute; float32 where none has.</summary>
    public ScalarType FirstDtype() => files.SelectMany(file => file.Names.Select(name => file.GetInfo(name).Dtype.ToTorch())).FirstOrDefault(dtype => dtype is { } found && TorchDtypes.NameOf(found) is not null) ?? ScalarType.Float32;

    /// <summary>Loads a tensor that is there, which the caller (or the surrounding dispose scope) owns.</summary>
    public Tensor Load(string name, ScalarType dtype) => fileOf[name].Load(name, dtype);

    /// <summary>The bytes of a tensor that is there, as they are in the file.</summary>
    public byte[] ReadBytes(string name)
    {
        var bytes = new byte[InfoOf(name).ByteCount];
        var done = 0;
        fileOf[name].ReadBytes(name, piece =>
        {
            piece.CopyTo(bytes.AsSpan(done));
            done += piece.Length;
        });
        return bytes;
    }

    /// <summary>The file of a tensor that is there, as it was when it was opened.</summary>
    public MappedFileState StateOf(string name) => fileOf[name].State;

    /// <summary>The bytes of a tensor that is there, which has some, as a tensor over the file's own memory.</summary>
    public Tensor MapBytes(string name, ScalarType dtype, long[] shape) => fileOf[name].MapBytes(name, dtype, shape);

    /// <inheritdoc/>
    public IReadOnlyList<long> ShapeOf(string name) => fileOf[name].GetInfo(name).Shape;

    /// <inheritdoc/>
    public void LoadInto(string name, Tensor destination) => fileOf[name].LoadInto(name, destination);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in files) file.Dispose();
    }

    private static IEnumerable<string> FindTensorFiles(string folder, Func<string, string> pathOf)
    {
        if (File.Exists(pathOf(SingleFile))) return [pathOf(SingleFile)];
        var index = pathOf(IndexFile);
        if (!File.Exists(index)) throw new CheckpointException($"{folder} holds neither {SingleFile} nor {IndexFile}.");
        var names = ReadIndex(index);
        return names.FirstOrDefault(name => !File.Exists(pathOf(name))) is { } absent
            ? throw new CheckpointException($"{index} names {absent}, which is not there.")
            : names.Select(pathOf);
    }

    /// <summary>The files that an index names. It comes from elsewhere: it must not lead out of the folder.</summary>
    /// <exception cref="CheckpointException">It is no index.</exception>
    public static string[] ReadIndex(string index)
    {
        try
        {
            using var document = JsonFile.Read(index, (problem, inner) => new CheckpointException($"{index} {problem}", inner));
            var names = document.RootElement.GetProperty("weight_map").EnumerateObject().Select(p => p.Value.GetString()!).Distinct(StringComparer.Ordinal).ToArray();
            return names.FirstOrDefault(name => System.IO.Path.GetFileName(name) != name) is { } outside ? throw new CheckpointException($"{index} names \"{outside}\", which is not a file of this folder.") : names;
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException)
        {
            throw new CheckpointException($"{index} is no index of tensor files: it needs an object \"weight_map\" from tensor to file name.", e);
        }
    }
}
