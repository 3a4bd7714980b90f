using Fossil.Serialization;
using Fossil.Targets;
using Fossil.Weights;

namespace Fossil.Adapters;

/// <summary>Which names of an adapter's file a model knows, and the errors about those that do not fit. They show the file's own names.</summary>
/// <param name="modelTargets">The model's modules.</param>
/// <param name="basePlaces">The base's own parameters.</param>
internal sealed class AdapterFileFit(ModelTargets modelTargets, IEnumerable<WeightPlace> basePlaces)
{
    // What the state of a whole PeftModel has around a module of modules_to_save.
    private static readonly string[] StateNames = [".modules_to_save.", ".original_module."];

    private readonly Dictionary<string, NamedModule> modules = ByPath(modelTargets.Modules);

    /// <summary>The base's parameters by the names that a file may have for them.</summary>
    private readonly Dictionary<string, WeightPlace> places = ByName([.. basePlaces]);

    /// <summary>The parameter of the base that a file's tensor of the kind <see cref="AdapterTensorKind.Base"/> is; null where the model has none.</summary>
    public WeightPlace? PlaceOf(AdapterTensorName name) => places.TryGetValue(name.ParameterPath, out var place) ? place : null;

    /// <summary>Whether a name means something in this model, whatever adapter it is of.</summary>
    public bool IsKnown(AdapterTensorName name) => name.Kind switch
    {
        AdapterTensorKind.Shared => true,
        AdapterTensorKind.Base => PlaceOf(name) is not null,
        _ => modules.ContainsKey(name.Module),
    };

    /// <summary>Refuses a tensor of another shape, or of a dtype that holds no trained values.</summary>
    /// <exception cref="VocabularySizeException">The shape is that of another number of tokens.</exception>
    /// <exception cref="AdapterFileException">It does not fit.</exception>
    public void Check(AdapterFile file, AdapterTensorName name, IReadOnlyList<long> shape)
    {
        var info = file.GetInfo(name);
        if (!info.Shape.SequenceEqual(shape))
        {
            if (VocabularyOf(name) is { } tokens && DifferingIndex(info.Shape, shape) is { } index && shape[index] == tokens) throw OtherVocabulary(file, name, info.Shape[index], tokens);
            throw new AdapterFileException(file.Path, $"'{file.KeyOf(name)}' has shape ({string.Join(", ", info.Shape)}), but this model and configuration need ({string.Join(", ", shape)}).");
        }

        if (!info.Dtype.IsFloatingPoint())
            throw new AdapterFileException(file.Path, $"'{file.KeyOf(name)}' has dtype {info.Dtype}, which holds no trained values. A floating-point dtype is needed.");
    }

    /// <summary>A tensor that an adapter needs and the file does not have.</summary>
    /// <param name="file">The file.</param>
    /// <param name="config">The adapter's configuration.</param>
    /// <param name="name">The tensor.</param>
    /// <param name="unknown">The file's tensors that belong to nothing, among which it may be.</param>
    public AdapterFileException Missing(AdapterFile file, AdapterConfig config, AdapterTensorName name, IReadOnlyList<AdapterTensorName> unknown) => new(
        file.Path,
        $"there is no tensor '{name}', which {config.PeftType} with this configuration needs.{(unknown.Count == 0 ? string.Empty : $" It has {List(file, unknown)}, which belong to no target.")} {Hint(file, unknown) ?? "Do the configuration and the tensors belong together?"}");

    /// <summary>Tensors that belong to nothing.</summary>
    public AdapterFileException Surplus(AdapterFile file, IReadOnlyList<AdapterTensorName> unknown) =>
        new(file.Path, $"the tensors {List(file, unknown)} belong to no target of this model and configuration.{(Hint(file, unknown) is { } hint ? " " + hint : string.Empty)}");

    private static string List(AdapterFile file, IReadOnlyList<AdapterTensorName> names) => $"{string.Join(", ", names.Take(5).Select(file.KeyOf))}{(names.Count > 5 ? ", …" : string.Empty)}";

    private string? Hint(AdapterFile file, IReadOnlyList<AdapterTensorName> unknown)
    {
        string[] keys = [.. unknown.Select(file.KeyOf)];
        if (keys.Any(key => StateNames.Any(name => key.Contains(name, StringComparison.Ordinal)))) return "This is the state of a whole PeftModel (state_dict). Save the adapter by its save_pretrained.";
        return WrapperNames.Hint(
            [.. keys.Select(WrapperNames.WithoutPeft)],
            key => AdapterTensorName.Meanings(key).Any(IsKnown),
            modelTargets.Modules.Select(entry => entry.Path).Where(path => path.Length > 0 && !path.Contains('.', StringComparison.Ordinal)));
    }

    /// <summary>The number of tokens that a layer has a row of its weight for; null where its rows are something else.</summary>
    private long? VocabularyOf(AdapterTensorName name)
    {
        if (!modules.TryGetValue(name.Module, out var entry) || BaseWeight.Of(entry.Module)?.Shape is not [var rows, _]) return null;
        return modelTargets.Modules.Any(other => BaseWeight.IsEmbedding(other.Module) && BaseWeight.Of(other.Module)?.OutFeatures == rows) ? rows : null;
    }

    private VocabularySizeException OtherVocabulary(AdapterFile file, AdapterTensorName name, long fileSize, long modelSize)
    {
        var advice = modelTargets.Modules.Select(entry => entry.Module).OfType<IPretrainedModel>().FirstOrDefault() is { } resizable
            ? $"Resize the model before the adapter is loaded: {resizable.ResizeCall(fileSize)}."
            : $"Give the model {fileSize} tokens before the adapter is loaded.";
        return new VocabularySizeException(file.Path, $"'{file.KeyOf(name)}' is for a vocabulary of {fileSize} tokens, but the model has {modelSize}: the adapter was trained on a model that was resized. {advice}", fileSize, modelSize);
    }

    private static int? DifferingIndex(IReadOnlyList<long> shape, IReadOnlyList<long> other)
    {
        if (shape.Count != other.Count) return null;
        int[] differing = [.. Enumerable.Range(0, shape.Count).Where(i => shape[i] != other[i])];
        return differing is [var index] ? index : null;
    }

    private static Dictionary<string, NamedModule> ByPath(IReadOnlyList<NamedModule> modules)
    {
        var byPath = modules.ToDictionary(entry => entry.Path, StringComparer.Ordinal);
        foreach (var entry in modules) byPath.TryAdd(entry.RegisteredPath, entry);
        return byPath;
    }

    private static Dictionary<string, WeightPlace> ByName(IReadOnlyList<WeightPlace> basePlaces)
    {
        var byName = new Dictionary<string, WeightPlace>(StringComparer.Ordinal);
        foreach (var place in basePlaces) byName.TryAdd(place.FullName, place);
        foreach (var place in basePlaces) byName.TryAdd(NamedModule.Join(place.Owner.RegisteredPath, place.Name), place);
        return byName;
    }
}
