using Fossil.Merging;
using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>What belongs into an adapter's file, and how it is read from there (PEFT: <c>get_peft_model_state_dict</c>, <c>set_peft_model_state_dict</c>).</summary>
/// <param name="trainedBase">The parameters of the base that adapters train.</param>
/// <param name="mergedBase">The base weights.</param>
/// <param name="ties">What shares memory in the model now.</param>
/// <param name="applyState">Brings the model in line with what was read.</param>
internal sealed class AdapterTensors(TrainedBase trainedBase, MergedBase mergedBase, Func<WeightTies> ties, Action applyState)
{
    /// <summary>Everything that is written into an adapter's file. The caller's dispose scope owns what had to be computed.</summary>
    public IEnumerable<(AdapterTensorName Name, Tensor Tensor)> ToWrite(AttachedAdapter adapter)
    {
        var own = Of(adapter).Select(entry => (entry.Name, entry.Tensor)).ToArray();
        var written = own.Select(entry => entry.Name).ToHashSet();
        return [.. own, .. adapter.Shared?.ToWrite ?? [], .. SavedEmbeddings.Of(adapter).Where(entry => !written.Contains(entry.Name)).Select(entry => (entry.Name, entry.Layer.ToFileWeight(mergedBase.Unmerged(entry.Layer.Target))))];
    }

    /// <summary>The values of the base that an adapter trains, by their names in its file.</summary>
    public IEnumerable<(AdapterTensorName Name, Tensor Tensor)> OfTrainedBase(AttachedAdapter adapter) =>
        trainedBase.FileTensorsOf(adapter).Select(entry => (entry.Name, entry.Parameter.ValuesOf(adapter.Name)));

    /// <summary>Reads the tensors. All are read and checked before the first value is set.</summary>
    /// <exception cref="AdapterFileException">They do not fit the adapter.</exception>
    public void Read(AttachedAdapter adapter, AdapterFolder folder)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var file = folder.Weights;
        var tensors = Of(adapter).Select(entry => entry with { Name = file.NameOf(entry.Name, entry.RegisteredName) }).ToArray();
        var bases = SavedEmbeddings.Of(adapter).ToArray();
        foreach (var (name, _, tensor, _, isOptional) in tensors)
        {
            if (!file.Contains(name))
            {
                if (isOptional) continue;
                throw new AdapterFileException(file.Path, $"there is no tensor '{name}', which {adapter.Config.PeftType} with this configuration needs. Do the configuration and the tensors belong together?");
            }

            CheckFits(file, name, tensor.shape);
        }

        foreach (var (name, layer) in bases)
        {
            if (file.Contains(name)) CheckFits(file, name, layer.Target.Base.Weight.Shape);
        }

        adapter.Shared?.Check(file);
        if (file.Names.Where(name => name.Kind != AdapterTensorKind.Shared || adapter.Shared is null).Except(tensors.Select(entry => entry.Name)).Except(bases.Select(entry => entry.Name)).ToArray() is { Length: > 0 } unknown)
            throw new AdapterFileException(file.Path, $"the tensors {string.Join(", ", unknown.Take(5))}{(unknown.Length > 5 ? ", …" : string.Empty)} belong to no target of this model and configuration.");

        var values = tensors.Where(entry => file.Contains(entry.Name)).Select(entry => (entry.Set, Values: file.Load(entry.Name))).ToArray();
        var baseValues = bases.Where(entry => file.Contains(entry.Name)).Select(entry => (entry.Name, entry.Layer, Values: file.Load(entry.Name))).ToArray();
        folder.Start?.Set(adapter.Layers);
        foreach (var (set, value) in values) set(value);
        foreach (var (name, layer, value) in baseValues)
        {
            if (ReadBase(adapter, layer, name, value, file)) applyState();
        }
    }

    private static void CheckFits(AdapterFile file, AdapterTensorName name, long[] shape)
    {
        var info = file.GetInfo(name);
        if (!info.Shape.SequenceEqual(shape))
            throw new AdapterFileException(file.Path, $"'{name}' has shape ({string.Join(", ", info.Shape)}), but this model and configuration need ({string.Join(", ", shape)}).");
        if (!info.Dtype.IsFloatingPoint())
            throw new AdapterFileException(file.Path, $"'{name}' has dtype {info.Dtype}, which holds no trained values. A floating-point dtype is needed.");
    }

    /// <summary>
    /// Takes a base weight of the file over. Where it is not the model's, the adapter belongs to another base: as in PEFT it brings its own, which is in place while it is active.
    /// </summary>
    /// <returns>Whether it brings its own.</returns>
    private bool ReadBase(AttachedAdapter adapter, AdapterLayer layer, AdapterTensorName name, Tensor fileValues, AdapterFile file)
    {
        using var scope = NewDisposeScope();
        var target = layer.Target;
        var (values, weight) = (layer.FromFileWeight(fileValues), mergedBase.Unmerged(target));
        if (SavedEmbeddings.IsSameBase(layer, values, weight)) return false;
        target.Base.CheckChangeable();
        trainedBase.Add(adapter.Name, target.WeightPlace, new TrainedBaseUse([new BaseTensor(name.Kind, target.WeightPlace)], IsFrozen: true), ties()).SetValues(adapter.Name, values);
        FossilWarnings.Report($"{file.Path} brings another '{target.Path}.{BaseWeight.Name}' than the model has: the adapter was trained on another base, or on a resized one. It is used while '{adapter.Name}' is active.");
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
