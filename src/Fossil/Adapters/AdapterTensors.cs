using Fossil.Merging;
using Fossil.Serialization;
using Fossil.Targets;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>What belongs into an adapter's file, and how it is read from there (PEFT: <c>get_peft_model_state_dict</c>, <c>set_peft_model_state_dict</c>).</summary>
/// <param name="modelTargets">The model's modules.</param>
/// <param name="trainedBase">The parameters of the base that adapters train.</param>
/// <param name="mergedBase">The base weights.</param>
/// <param name="ties">What shares memory in the model now.</param>
/// <param name="applyState">Brings the model in line with what was read.</param>
internal sealed class AdapterTensors(ModelTargets modelTargets, TrainedBase trainedBase, MergedBase mergedBase, Func<WeightTies> ties, Action applyState)
{
    /// <summary>Everything that is written into an adapter's file. The caller's dispose scope owns what had to be computed.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="saveEmbeddingLayers">Whether embedding and output layer are; null to decide as PEFT does.</param>
    public IEnumerable<(AdapterTensorName Name, Tensor Tensor)> ToWrite(AttachedAdapter adapter, bool? saveEmbeddingLayers = null)
    {
        var left = saveEmbeddingLayers == false ? trainedBase.Of(adapter).Select(parameter => parameter.UseOf(adapter.Name)).Where(use => use.IsFrozen).SelectMany(use => use.Tensors).Select(tensor => tensor.FileName).ToHashSet() : [];
        var own = Of(adapter).Where(entry => !left.Contains(entry.Name)).Select(entry => (entry.Name, entry.Tensor)).ToArray();
        var written = own.Select(entry => entry.Name).ToHashSet();
        return
        [
            .. own,
            .. adapter.Shared?.ToWrite ?? [],
            .. from entry in SavedEmbeddings.Of(adapter, modelTargets.Modules, saveEmbeddingLayers)
               where !written.Contains(entry.Name)
               let weight = OfBase(entry.Place)
               select (entry.Name, entry.Layer is { } layer ? layer.ToFileWeight(weight) : weight),
        ];
    }

    /// <summary>The values of the base that an adapter trains, by their names in its file.</summary>
    public IEnumerable<(AdapterTensorName Name, Tensor Tensor)> OfTrainedBase(AttachedAdapter adapter) =>
        trainedBase.FileTensorsOf(adapter).Select(entry => (entry.Name, entry.Parameter.ValuesOf(adapter.Name)));

    /// <summary>Takes the names of a file for the model's, where wrappers of PyTorch or the adapter's name stand in between.</summary>
    /// <exception cref="SafetensorsException">Two of them mean the same.</exception>
    public void Unwrap(AdapterFile file) => file.Unwrap(Fit().IsKnown);

    /// <summary>Reads the tensors. All are read and checked before the first value is set.</summary>
    /// <exception cref="AdapterFileException">They do not fit the adapter.</exception>
    public void Read(AttachedAdapter adapter, AdapterFolder folder)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (file, fit) = (folder.Weights, Fit());
        var tensors = Of(adapter).Select(entry => entry with { Name = file.NameOf(entry.Name, entry.RegisteredName) }).ToArray();
        AdapterTensorName[] others = [.. file.Names.Where(name => name.Kind != AdapterTensorKind.Shared || adapter.Shared is null).Except(tensors.Select(entry => entry.Name))];
        var bases = BroughtBase.Find(adapter, file, others, fit, ties());
        AdapterTensorName[] unknown = [.. others.Except(bases.SelectMany(entry => entry.Tensors).SelectMany(tensor => (AdapterTensorName[])[tensor.FileName, tensor.RegisteredFileName]))];
        foreach (var (name, _, tensor, _, isOptional) in tensors)
        {
            if (file.Contains(name)) fit.Check(file, name, tensor.shape);
            else if (!isOptional) throw fit.Missing(file, adapter.Config, name, unknown);
        }

        foreach (var entry in bases) fit.Check(file, NameIn(file, entry), entry.Shape);
        adapter.Shared?.Check(file);
        if (unknown.Length > 0) throw fit.Surplus(file, unknown);

        var values = tensors.Where(entry => file.Contains(entry.Name)).Select(entry => (entry.Set, Values: file.Load(entry.Name))).ToArray();
        var baseValues = bases.Select(entry => (Brought: entry, Values: file.Load(NameIn(file, entry)))).ToArray();
        folder.Start?.Set(adapter.Layers);
        foreach (var (set, value) in values) set(value);
        var areOwn = baseValues.Select(entry => ReadBase(adapter, entry.Brought, entry.Values, file)).ToArray();
        if (areOwn.Contains(true)) applyState();
    }

    private AdapterFileFit Fit() => new(modelTargets, trainedBase.PlacesIn(string.Empty));

    private static AdapterTensorName NameIn(AdapterFile file, BroughtBase brought) => file.NameOf(brought.Tensors[0].FileName, brought.Tensors[0].RegisteredFileName);

    /// <summary>The base's own values, without what is merged into them.</summary>
    private Tensor OfBase(WeightPlace place) =>
        trainedBase.BaseValuesAt(place) ?? (place.Name == BaseWeight.Name && modelTargets.Find(place.Module) is { } target ? mergedBase.Unmerged(target) : place.Find()!.detach());

    /// <summary>
    /// Takes a base weight of the file over. Where it is not the model's, the adapter belongs to another base: as in PEFT it brings its own, which is in place while it is active.
    /// </summary>
    /// <returns>Whether it brings its own.</returns>
    private bool ReadBase(AttachedAdapter adapter, BroughtBase brought, Tensor fileValues, AdapterFile file)
    {
        using var scope = NewDisposeScope();
        var place = brought.Place;
        var values = brought.Layer is { } layer && place.Name == BaseWeight.Name ? layer.FromFileWeight(fileValues) : fileValues;
        if (brought.IsSameBase(values, OfBase(place))) return false;
        brought.Layer?.Target.Base.CheckChangeable(expand: false);
        trainedBase.Add(adapter.Name, place, new TrainedBaseUse(brought.Tensors, brought.IsTogether, IsFrozen: true), ties()).SetValues(adapter.Name, values);

        // After a resize nothing else is to be expected.
        if (!modelTargets.Modules.Any(entry => entry.Module is IPretrainedModel { IsVocabularyResized: true }))
            FossilWarnings.Report($"{file.Path} brings another '{place.FullName}' than the model has: the adapter was trained on another base, or on a resized one. It is used while '{adapter.Name}' is active.");
        return true;
    }

    /// <summary>An adapter's own tensors: the name in a file, the one that it has in the model, the current tensor, how to set its values, and whether a file may lack it.</summary>
    private IEnumerable<(AdapterTensorName Name, AdapterTensorName RegisteredName, Tensor Tensor, Action<Tensor> Set, bool IsOptional)> Of(AttachedAdapter adapter)
    {
        foreach (var layer in adapter.Layers)
        {
            foreach (var (name, parameter) in layer.Parameters())
                yield return (layer.FileName(name), layer.RegisteredFileName(name), parameter, values => parameter.copy_(values), false);
        }

        foreach (var parameter in trainedBase.Of(adapter))
        {
            var use = parameter.UseOf(adapter.Name);
            foreach (var (i, tensor) in use.Tensors.Index())
                yield return (tensor.FileName, tensor.RegisteredFileName, parameter.ValuesOf(adapter.Name), values => parameter.SetValues(adapter.Name, values), i > 0);
        }
    }
}
