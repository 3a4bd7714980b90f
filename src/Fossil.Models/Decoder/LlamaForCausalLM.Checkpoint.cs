using Fossil.Serialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Models;

// Hugging Face folders: config.json with model.safetensors, or with several files and their index.
public sealed partial class LlamaForCausalLM
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";
    private const string OutputWeight = "lm_head.weight";

    /// <summary>Loads a decoder from a Hugging Face folder: <c>config.json</c> and <c>model.safetensors</c>, or several files with their index.</summary>
    /// <remarks>The files are mapped into memory and each tensor is converted straight into its parameter, so the peak is the model and one tensor.</remarks>
    /// <param name="folder">The folder.</param>
    /// <param name="dtype">dtype of the parameters whatever the file holds; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    /// <exception cref="CheckpointException">A file is missing, the configuration is not of this family, or tensors are missing, surplus or wrongly shaped.</exception>
    /// <exception cref="SafetensorsException">A tensor file is malformed.</exception>
    public static LlamaForCausalLM FromPretrained(string folder, ScalarType? dtype = null, Device? device = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var files = new List<SafetensorsFile>();
        try
        {
            var config = Open(folder, files);
            var sources = from file in files
                          from name in file.Names
                          select new CheckpointTensor(name, [.. file.GetInfo(name).Shape], target => file.LoadInto(name, target));
            return FromTensors(config, [.. sources], folder, dtype, device);
        }
        finally
        {
            foreach (var file in files) file.Dispose();
        }
    }

    /// <summary>Opens the files of a folder, all of the same save.</summary>
    private static LlamaConfig Open(string folder, List<SafetensorsFile> files)
    {
        try
        {
            return AtomicFolder.Read(folder, pathOf =>
            {
                var config = LlamaConfig.Load(pathOf(LlamaConfig.FileName));
                foreach (var path in FindTensorFiles(folder, pathOf)) files.Add(SafetensorsFile.Open(path));
                return config;
            });
        }
        catch (InvalidDataException exception)
        {
            throw new CheckpointException(exception.Message, exception);
        }
    }

    /// <summary>Creates a decoder and fills it from <paramref name="sources"/>, whatever kind of file they come from.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="sources">The tensors, by Hugging Face's names.</param>
    /// <param name="origin">The checkpoint's path, for messages.</param>
    /// <param name="dtype">dtype of the parameters; float32 where null.</param>
    /// <param name="device">Device of the parameters; the CPU where null.</param>
    internal static LlamaForCausalLM FromTensors(LlamaConfig config, IReadOnlyCollection<CheckpointTensor> sources, string origin, ScalarType? dtype, Device? device)
    {
        var model = new LlamaForCausalLM(config, dtype ?? float32, device, initialize: false);
        try
        {
            model.Fill(sources, origin);
            model.eval();
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The base parameters by their names in a checkpoint; those of adapters, which belong to their own files, are left out.</summary>
    private Dictionary<string, Parameter> CheckpointParameters() =>
        named_parameters().Where(p => ownNames.Contains(p.name)).ToDictionary(p => p.name, p => p.parameter, StringComparer.Ordinal);

    private void Fill(IReadOnlyCollection<CheckpointTensor> sources, string origin)
    {
        using var noGrad = no_grad();

        // A file may say that it is tied and yet have an output layer: whether the same one, its values tell.
        var tied = sources.Any(source => source.Name == OutputWeight) ? lm_head as TiedLinear : null;
        tied?.Untie();
        var parameters = CheckpointParameters();
        var surplus = sources.Where(s => !parameters.ContainsKey(s.Name) && !IsRedundant(s.Name)).Select(s => s.Name).ToArray();
        var missing = parameters.Keys.Except(sources.Select(s => s.Name)).ToArray();
        var misshapen = (from s in sources
                         where parameters.ContainsKey(s.Name) && !s.Shape.AsSpan().SequenceEqual(parameters[s.Name].shape)
                         select $"{s.Name} ({string.Join(", ", s.Shape)}) instead of ({string.Join(", ", parameters[s.Name].shape)})").ToArray();
        if (surplus.Length + missing.Length + misshapen.Length > 0)
        {
            throw new CheckpointException($"{origin} does not hold the tensors that its configuration asks for."
                + Part("Missing", missing) + Part("Surplus", surplus) + Part("Wrong shape", misshapen))
            {
                MissingTensors = missing,
                SurplusTensors = surplus,
                WrongShapes = misshapen,
            };
        }
        foreach (var source in sources)
        {
            if (parameters.TryGetValue(source.Name, out var parameter)) source.LoadInto(parameter);
        }

        if (tied is not null) TieIfEqual(tied, origin);

        static string Part(string title, string[] names) =>
            names.Length == 0 ? "" : $" {title}: {string.Join(", ", names.Take(5))}{(names.Length > 5 ? $" and {names.Length - 5} more" : "")}.";
    }

    /// <summary>Ties an output layer that came with the file, if it is the embedding again; as transformers does, it keeps both where they differ.</summary>
    private void TieIfEqual(TiedLinear output, string origin)
    {
        using var scope = NewDisposeScope();
        if (output.Weight.equal(model.Embedding.Weight).all().item<bool>()) output.Tie();
        else FossilWarnings.Report($"{origin} says that the output layer is the embedding matrix (tie_word_embeddings), but holds another '{OutputWeight}'. Both are kept, and nothing is tied. Set tie_word_embeddings to false, or remove the tensor.");
    }

    /// <summary>Tensors that some files hold although they follow from others: the rotary frequencies of old Llama files.</summary>
    private static bool IsRedundant(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);

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
    private static string[] ReadIndex(string index)
    {
        try
        {
            using var document = JsonFile.Read(index, (problem, inner) => new CheckpointException($"{index} {problem}", inner));
            var names = document.RootElement.GetProperty("weight_map").EnumerateObject().Select(p => p.Value.GetString()!).Distinct(StringComparer.Ordinal).ToArray();
            return names.FirstOrDefault(name => Path.GetFileName(name) != name) is { } outside ? throw new CheckpointException($"{index} names \"{outside}\", which is not a file of this folder.") : names;
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException)
        {
            throw new CheckpointException($"{index} is no index of tensor files: it needs an object \"weight_map\" from tensor to file name.", e);
        }
    }

    private static string NameOf(ScalarType dtype) => dtype switch
    {
        ScalarType.BFloat16 => "bfloat16",
        ScalarType.Float16 => "float16",
        ScalarType.Float64 => "float64",
        _ => "float32",
    };
}

/// <summary>A tensor of a checkpoint, not yet read.</summary>
/// <param name="Name">Hugging Face's name.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="LoadInto">Reads it into a tensor of that shape, converting to its dtype.</param>
internal sealed record CheckpointTensor(string Name, long[] Shape, Action<Tensor> LoadInto);
