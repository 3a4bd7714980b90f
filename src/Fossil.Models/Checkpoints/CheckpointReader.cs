using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>Fills a module from the tensors of a checkpoint: every parameter from the tensor of its name.</summary>
internal static class CheckpointReader
{
    /// <summary>Fills all parameters, or none.</summary>
    /// <param name="module">The module, its parameters allocated.</param>
    /// <param name="source">The tensors.</param>
    /// <exception cref="CheckpointException">Tensors are missing, surplus or wrongly shaped.</exception>
    public static void Fill(nn.Module module, ITensorSource source)
    {
        using var noGrad = no_grad();

        // A file may say that a layer is tied and yet have its weight: whether the same one, its values tell.
        var stored = source.Names.ToHashSet(StringComparer.Ordinal);
        var untied = TiedLayers(module).Where(tied => stored.Contains(tied.Weight)).ToArray();
        foreach (var (_, layer) in untied) layer.Untie();

        var parameters = module.named_parameters().ToDictionary(p => p.name, p => p.parameter, StringComparer.Ordinal);
        Check(parameters, source);
        foreach (var name in source.Names)
        {
            if (parameters.TryGetValue(name, out var parameter)) source.LoadInto(name, parameter);
        }

        foreach (var (name, layer) in untied) TieIfEqual(layer, name, source.Path);
    }

    /// <summary>The names that weights would have which are another module's, as long as they are.</summary>
    public static IEnumerable<string> TiedWeights(nn.Module module) => TiedLayers(module).Select(tied => tied.Weight);

    private static IEnumerable<(string Weight, TiedLinear Layer)> TiedLayers(nn.Module module) =>
        module.named_modules().Where(entry => entry.module is TiedLinear).Select(entry => ($"{entry.name}.{BaseWeight.Name}", (TiedLinear)entry.module));

    private static void Check(Dictionary<string, Parameter> parameters, ITensorSource source)
    {
        var surplus = source.Names.Where(name => !parameters.ContainsKey(name) && !IsRedundant(name)).ToArray();
        var missing = parameters.Keys.Except(source.Names).ToArray();
        var misshapen = (from name in source.Names
                         where parameters.ContainsKey(name) && !source.ShapeOf(name).SequenceEqual(parameters[name].shape)
                         select $"{name} ({string.Join(", ", source.ShapeOf(name))}) instead of ({string.Join(", ", parameters[name].shape)})").ToArray();
        if (surplus.Length + missing.Length + misshapen.Length == 0) return;
        throw new CheckpointException($"{source.Path} does not hold the tensors that its configuration asks for."
            + Part("Missing", missing) + Part("Surplus", surplus) + Part("Wrong shape", misshapen))
        {
            MissingTensors = missing,
            SurplusTensors = surplus,
            WrongShapes = misshapen,
        };

        static string Part(string title, string[] names) =>
            names.Length == 0 ? "" : $" {title}: {string.Join(", ", names.Take(5))}{(names.Length > 5 ? $" and {names.Length - 5} more" : "")}.";
    }

    /// <summary>Ties an output layer that came with the file, if it is the embedding again; as transformers does, it keeps both where they differ.</summary>
    private static void TieIfEqual(TiedLinear output, string name, string origin)
    {
        using var scope = NewDisposeScope();
        if (output.Weight.equal(BaseWeight.Find(output.Source)!).all().item<bool>()) output.Tie();
        else FossilWarnings.Report($"{origin} says that the output layer is the embedding matrix (tie_word_embeddings), but holds another '{name}'. Both are kept, and nothing is tied. Set tie_word_embeddings to false, or remove the tensor.");
    }

    /// <summary>Tensors that some files hold although they follow from others: the rotary frequencies of old Llama files.</summary>
    private static bool IsRedundant(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);
}
