using static TorchSharp.torch;

namespace Fossil.Serialization;

/// <summary>The weights of an adapter on the disk: <c>adapter_model.safetensors</c>, as PEFT writes it and reads it.</summary>
/// <remarks>Knows names only. Which tensors there must be, and of which shapes, is for the methods to say.</remarks>
public sealed class AdapterFile : IDisposable
{
    /// <summary>The name of the file in an adapter's folder.</summary>
    public const string FileName = "adapter_model.safetensors";

    private static readonly KeyValuePair<string, string>[] Metadata = [new("format", "pt")];

    private readonly SafetensorsFile file;
    private Dictionary<AdapterTensorName, string> keys = [];

    private AdapterFile(SafetensorsFile file)
    {
        this.file = file;
        Name(AdapterTensorName.Parse);
    }

    /// <summary>The file.</summary>
    public string Path => file.Path;

    /// <summary>The tensors, in the order of the file.</summary>
    public IReadOnlyCollection<AdapterTensorName> Names => keys.Keys;

    /// <summary>Opens the weights of an adapter.</summary>
    /// <param name="path">The file, or the adapter's folder.</param>
    /// <exception cref="SafetensorsException">The file is damaged.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static AdapterFile Open(string path)
    {
        if (Directory.Exists(path)) return AtomicFolder.Read(path, pathOf => Open(pathOf(FileName)));
        var file = SafetensorsFile.Open(path);
        try
        {
            return new AdapterFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens an adapter's configuration and weights, both of the same save whatever a writer does meanwhile; see <see cref="AtomicFolder"/>.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <exception cref="ConfigurationException">The configuration has a value that cannot be used.</exception>
    /// <exception cref="SafetensorsException">The weights are damaged.</exception>
    /// <exception cref="InvalidDataException">A stopped writer's journal in the folder is damaged.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static (AdapterConfig Config, AdapterFile Weights) OpenFolder(string folder) =>
        AtomicFolder.Read(folder, pathOf => (AdapterConfig.Load(pathOf(AdapterConfig.FileName)), Open(pathOf(FileName))));

    /// <summary>Writes an adapter's configuration and weights; both change together, or not at all.</summary>
    /// <param name="folder">The adapter's folder. Other files in it are left alone.</param>
    /// <param name="config">The configuration.</param>
    /// <param name="tensors">The weights.</param>
    /// <exception cref="ConfigurationException">The configuration has a value that cannot be used.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is, unless <see cref="AtomicWriteException.IsCommitted"/>.</exception>
    public static void SaveFolder(string folder, AdapterConfig config, IEnumerable<(AdapterTensorName Name, Tensor Tensor)> tensors) => SaveFolder(folder, config, tensors, []);

    /// <summary>As <see cref="SaveFolder(string, AdapterConfig, IEnumerable{ValueTuple{AdapterTensorName, Tensor}})"/>, with further files that change together with these.</summary>
    internal static void SaveFolder(string folder, AdapterConfig config, IEnumerable<(AdapterTensorName Name, Tensor Tensor)> tensors, IEnumerable<(string Name, Action<Stream> Write)> others)
    {
        var json = System.Text.Encoding.UTF8.GetBytes(config.ToJson());
        AtomicFolder.Write(folder, [(AdapterConfig.FileName, stream => stream.Write(json)), (FileName, stream => Write(stream, tensors)), .. others]);
    }

    /// <summary>Writes the weights to a stream.</summary>
    public static void Write(Stream stream, IEnumerable<(AdapterTensorName Name, Tensor Tensor)> tensors) =>
        SafetensorsWriter.Write(stream, tensors.Select(entry => (entry.Name.ToKey(), entry.Tensor)), Metadata);

    /// <summary>Whether the file has that tensor.</summary>
    public bool Contains(AdapterTensorName name) => keys.ContainsKey(name);

    /// <summary>Takes the keys that <paramref name="isKnown"/> does not know as they stand for what they mean behind the names of PyTorch's wrappers, and without the adapter's name; see <see cref="WrapperNames"/>.</summary>
    /// <exception cref="SafetensorsException">Two keys then mean the same.</exception>
    internal void Unwrap(Func<AdapterTensorName, bool> isKnown) => Name(key => AdapterTensorName.Meanings(key).Cast<AdapterTensorName?>().FirstOrDefault(name => isKnown(name!.Value)) ?? AdapterTensorName.Parse(key));

    /// <summary>What the file itself calls a tensor.</summary>
    internal string KeyOf(AdapterTensorName name) => keys.TryGetValue(name, out var key) ? key : name.ToKey();

    /// <summary>Which of two names of a tensor the file has: earlier versions wrote those of registered fields, which a compiler may have made up. The first where it has neither.</summary>
    internal AdapterTensorName NameOf(AdapterTensorName name, AdapterTensorName registeredName) => !Contains(name) && Contains(registeredName) ? registeredName : name;

    /// <summary>Dtype and shape of a tensor.</summary>
    /// <exception cref="SafetensorsException">There is no such tensor.</exception>
    public SafetensorInfo GetInfo(AdapterTensorName name) => file.GetInfo(KeyOf(name));

    /// <summary>Loads a tensor; see <see cref="SafetensorsFile.Load"/>.</summary>
    public Tensor Load(AdapterTensorName name, ScalarType? dtype = null, Device? device = null) => file.Load(KeyOf(name), dtype, device);

    /// <summary>Loads a tensor into one that exists; see <see cref="SafetensorsFile.LoadInto"/>.</summary>
    public void LoadInto(AdapterTensorName name, Tensor destination) => file.LoadInto(KeyOf(name), destination);

    /// <summary>Closes the file.</summary>
    public void Dispose() => file.Dispose();

    private void Name(Func<string, AdapterTensorName> nameOf)
    {
        var named = new Dictionary<AdapterTensorName, string>();
        foreach (var key in file.Names)
        {
            var name = nameOf(key);
            if (!named.TryAdd(name, key)) throw new SafetensorsException(SafetensorsError.DuplicateName, file.Path, $"'{key}' and '{named[name]}' name the same parameter of the adapter. Remove one.");
        }

        keys = named;
    }
}
