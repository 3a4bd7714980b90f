using Fossil.Serialization;
using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>Fills a module from the tensors of a checkpoint: every parameter from the tensor of its name.</summary>
internal static class CheckpointReader
{
    // transformers: base_model_prefix, the same for all families here.
    private const string InnerModel = "model.";
    private const string EmbeddingWeight = InnerModel + "embed_tokens.weight";
    private const string OutputWeight = "lm_head.weight";

    /// <summary>Fills all parameters, or none.</summary>
    /// <param name="module">The module, its parameters allocated.</param>
    /// <param name="source">The tensors.</param>
    /// <exception cref="CheckpointException">Tensors are missing, surplus or wrongly shaped.</exception>
    public static void Fill(nn.Module module, ITensorSource source)
    {
        using var noGrad = no_grad();

        // A file may say that a layer is tied and yet have its weight: whether the same one, its values tell.
        var tied = TiedLayers(module).ToArray();
        var stored = NamesIn(source, module.named_parameters().Select(entry => entry.name).Concat(tied.Select(layer => layer.Weight)).ToHashSet(StringComparer.Ordinal));
        var untied = tied.Where(layer => stored.ContainsKey(layer.Weight)).ToArray();
        foreach (var (_, layer) in untied) layer.Untie();

        var encodable = module.named_modules().Where(entry => entry.module is EncodableModule).ToDictionary(entry => $"{entry.name}.{BaseWeight.Name}", entry => (EncodableModule)entry.module, StringComparer.Ordinal);
        var parameters = module.named_parameters().ToDictionary(p => p.name, p => p.parameter, StringComparer.Ordinal);
        Check(parameters, stored, source);
        foreach (var (name, sourceName) in stored)
        {
            if (!parameters.TryGetValue(name, out var parameter)) continue;
            if (encodable.TryGetValue(name, out var layer) && source.FindEncoded(sourceName, parameter.dtype, parameter.device) is { } weight) layer.Replace(weight);
            else source.LoadInto(sourceName, parameter);
        }

        foreach (var (name, layer) in untied) TieIfEqual(layer, source.FileName(stored[name]), source.Path);
    }

    /// <summary>The names that weights would have which are another module's, as long as they are.</summary>
    public static IEnumerable<string> TiedWeights(nn.Module module) => TiedLayers(module).Select(tied => tied.Weight);

    private static IEnumerable<(string Weight, TiedLinear Layer)> TiedLayers(nn.Module module) =>
        module.named_modules().Where(entry => entry.module is TiedLinear).Select(entry => ($"{entry.name}.{BaseWeight.Name}", (TiedLinear)entry.module));

    /// <summary>
    /// The name in the source of each tensor, by its name in the model: behind what PyTorch's wrappers added, and with the inner model's prefix where the file is of that alone, as transformers takes them.
    /// What the model has no name for keeps its own.
    /// </summary>
    /// <exception cref="CheckpointException">Two tensors are the same parameter.</exception>
    private static Dictionary<string, string> NamesIn(ITensorSource source, HashSet<string> known)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var stored in source.Names)
        {
            var candidates = WrapperNames.Candidates(stored);
            var name = candidates.Concat(candidates.Select(candidate => InnerModel + candidate)).FirstOrDefault(known.Contains) ?? stored;
            if (!names.TryAdd(name, stored)) throw new CheckpointException($"{source.Path} holds '{source.FileName(names[name])}' and '{source.FileName(stored)}', which are both the model's '{name}'. Remove one.");
        }

        return names;
    }

    private static void Check(Dictionary<string, Parameter> parameters, Dictionary<string, string> stored, ITensorSource source)
    {
        var surplus = stored.Where(entry => !parameters.ContainsKey(entry.Key) && !IsRedundant(entry.Key)).Select(entry => source.FileName(entry.Value)).ToArray();
        var missing = parameters.Keys.Where(name => !stored.ContainsKey(name)).ToArray();
        var misshapen = (from entry in stored
                         where parameters.ContainsKey(entry.Key) && !source.ShapeOf(entry.Value).SequenceEqual(parameters[entry.Key].shape)
                         select $"{source.FileName(entry.Value)} ({string.Join(", ", source.ShapeOf(entry.Value))}) instead of ({string.Join(", ", parameters[entry.Key].shape)})").ToArray();
        if (surplus.Length + missing.Length + misshapen.Length == 0) return;
        throw new CheckpointException($"{source.Path} does not hold the tensors that its configuration asks for."
            + Part("Missing", [.. missing.Select(source.FileName)]) + Part("Surplus", surplus) + Part("Wrong shape", misshapen) + (Hint(surplus, missing, parameters) ?? VocabularyHint(parameters, stored, source)))
        {
            MissingTensors = missing,
            SurplusTensors = surplus,
            WrongShapes = misshapen,
        };

        static string Part(string title, string[] names) =>
            names.Length == 0 ? "" : $" {title}: {string.Join(", ", names.Take(5))}{(names.Length > 5 ? $" and {names.Length - 5} more" : "")}.";
    }

    private static string? Hint(string[] surplus, string[] missing, Dictionary<string, Parameter> parameters)
    {
        if (surplus.Any(name => AdapterTensorName.Meanings(name).Any(meaning => meaning.Kind is AdapterTensorKind.Adapter or AdapterTensorKind.AdaptedWeight)))
            return " It holds an adapter beside the base, as the state of a whole PeftModel does. Save the base by PEFT's unload() or merge_and_unload(), or load the base's own folder and then the adapter.";
        if (surplus.Length == 0 && missing is [OutputWeight]) return " It is of a model without output layer. Save it with the class for causal language models, or set tie_word_embeddings where it uses the embedding's weight.";
        return WrapperNames.Hint(surplus, parameters.ContainsKey, []) is { } hint ? " " + hint : null;
    }

    /// <summary>Says so where nothing but the number of tokens is another than the configuration has it.</summary>
    private static string? VocabularyHint(Dictionary<string, Parameter> parameters, Dictionary<string, string> stored, ITensorSource source)
    {
        var differing = stored.Where(entry => parameters.TryGetValue(entry.Key, out var parameter) && !source.ShapeOf(entry.Value).SequenceEqual(parameter.shape)).Select(entry => (Name: entry.Key, Shape: source.ShapeOf(entry.Value))).ToArray();
        return differing.Length > 0 && differing.All(entry => entry.Name is EmbeddingWeight or OutputWeight && entry.Shape.Count == 2 && entry.Shape[1] == parameters[entry.Name].size(1)) && differing.Select(entry => entry.Shape[0]).Distinct().ToArray() is [var rows]
            ? $" The tensors are for a vocabulary of {rows} tokens, the configuration says {parameters[differing[0].Name].size(0)} (vocab_size): correct it there, if the tensors are the right ones."
            : null;
    }

    /// <summary>Ties an output layer that came with the file, if it is the embedding again; as transformers does, it keeps both where they differ.</summary>
    private static void TieIfEqual(TiedLinear output, string name, string origin)
    {
        using var scope = NewDisposeScope();
        if (output.Weight.equal(BaseWeight.Of(output.Source)!.ToTensor(output.Weight.dtype)).all().item<bool>()) output.Tie();
        else FossilWarnings.Report($"{origin} says that the output layer is the embedding matrix (tie_word_embeddings), but holds another '{name}'. Both are kept, and nothing is tied. Set tie_word_embeddings to false, or remove the tensor.");
    }

    /// <summary>Tensors that some files hold although they follow from others: the rotary frequencies of old Llama files.</summary>
    private static bool IsRedundant(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);
}
