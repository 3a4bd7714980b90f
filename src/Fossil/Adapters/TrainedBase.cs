using Fossil.Serialization;
using Fossil.Targets;
using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>The parameters of the base that adapters train beside their own: <c>modules_to_save</c> and biases.</summary>
/// <param name="adapters">The adapters.</param>
/// <param name="modelTargets">The model's modules.</param>
/// <param name="ties">What shares memory in the model now.</param>
internal sealed class TrainedBase(AdapterSet adapters, ModelTargets modelTargets, Func<WeightTies> ties)
{
    private readonly List<TrainedBaseParameter> parameters = [];

    /// <summary>What of it has memory of its own although others share it.</summary>
    public IEnumerable<Separation> Separations => parameters.Select(parameter => parameter.Separation).OfType<Separation>();

    /// <summary>What an adapter has values of its own for.</summary>
    public IEnumerable<TrainedBaseParameter> Of(AttachedAdapter adapter) => parameters.Where(parameter => parameter.Adapters.Contains(adapter.Name));

    /// <summary>The first parameter that one of these adapters has values of its own for; null where there is none.</summary>
    public TrainedBaseParameter? FirstOf(IEnumerable<string> adapterNames) => parameters.Find(parameter => adapterNames.Any(parameter.Adapters.Contains));

    /// <summary>The base's own values at this place, where an adapter's are in its stead now; null where the base's are there.</summary>
    public Tensor? BaseValuesAt(WeightPlace place) =>
        parameters.Find(parameter => parameter.Current is { } owner && (parameter.Place == place || (parameter.UseOf(owner).IsTogether && ties().Sharing(parameter.Place).Contains(place))))?.BaseValues;

    /// <summary>Whether an adapter has values of its own for a parameter of this module.</summary>
    public bool HasValuesIn(nn.Module module) => parameters.Exists(parameter => parameter.Place.Module == module);

    /// <summary>The adapter whose own values are at this place now; null where the base's are.</summary>
    public string? OwnerAt(WeightPlace place) => parameters.Find(parameter => parameter.Current is { } owner && parameter.UseOf(owner).Tensors.Any(tensor => tensor.Place == place))?.Current;

    /// <summary>The parameters that share their memory with others of the model.</summary>
    public IEnumerable<Parameter> Shared()
    {
        if (parameters.Count == 0) return [];
        var now = ties();
        return [.. parameters.Where(parameter => parameter.Separation?.Original is null && now.Sharing(parameter.Place).Any(other => other.Module is not TiedLinear)).Select(parameter => parameter.Find()).OfType<Parameter>()];
    }

    /// <summary>The base's tensors in an adapter's file.</summary>
    public IEnumerable<(AdapterTensorName Name, TrainedBaseParameter Parameter)> FileTensorsOf(AttachedAdapter adapter) =>
        Of(adapter).SelectMany(parameter => parameter.UseOf(adapter.Name).Tensors.Select(tensor => (tensor.FileName, parameter)));

    /// <summary>Finds what the configuration of an adapter trains of the base itself.</summary>
    public void Add(AttachedAdapter adapter)
    {
        AddModulesToSave(adapter);
        if (adapter.Config.Bias != AdapterBias.None) AddBiases(adapter);
    }

    /// <summary>Adds a parameter that an adapter has values of its own for.</summary>
    /// <param name="adapterName">The adapter.</param>
    /// <param name="place">The parameter.</param>
    /// <param name="use">How the adapter uses it.</param>
    /// <param name="now">What shares memory now.</param>
    /// <exception cref="NotAdaptableException">It shares memory and cannot be given its own.</exception>
    public TrainedBaseParameter Add(string adapterName, WeightPlace place, TrainedBaseUse use, WeightTies now)
    {
        if (!use.IsTogether) now.CheckSeparable(place);
        var parameter = parameters.Find(existing => existing.Place == place);
        if (parameter is null) parameters.Add(parameter = new TrainedBaseParameter(place));
        parameter.Add(adapterName, use);
        return parameter;
    }

    /// <summary>Drops an adapter's values. Those that are merged stay in place.</summary>
    public void Forget(AttachedAdapter adapter)
    {
        foreach (var parameter in Of(adapter).ToArray())
        {
            parameter.Forget(adapter.Name, keepInPlace: adapters.IsMerged(adapter.Name));
            if (parameter.Adapters.Count > 0) continue;
            if (parameter.Find() is { } found) found.requires_grad = false;
            parameter.Dispose();
            parameters.Remove(parameter);
        }
    }

    /// <summary>Puts the active adapter's values in place, or the base's own where no active adapter has any.</summary>
    public void Apply()
    {
        var owners = parameters.ToDictionary(parameter => parameter, parameter => adapters.ActiveOnesAct ? adapters.Active.FirstOrDefault(parameter.Adapters.Contains) : null);

        // All go back to the base before any leaves it: those that share memory find each other there.
        if (owners.Any(entry => entry.Value != entry.Key.Current))
        {
            foreach (var parameter in parameters) parameter.Deactivate();
            var now = ties();
            foreach (var (parameter, owner) in owners)
            {
                if (owner is not null) parameter.Activate(owner, now);
            }
        }

        foreach (var parameter in parameters) parameter.Parameter.requires_grad = false;
        foreach (var (parameter, owner) in owners)
        {
            if (owner is not null && !parameter.UseOf(owner).IsFrozen && adapters.IsTrained(adapters.Find(owner))) parameter.Parameter.requires_grad = true;
        }
    }

    /// <summary>Puts the base's own values in place of those that an active adapter has of its own, until the result is disposed. What is merged stays.</summary>
    public Restoration WithoutActive()
    {
        foreach (var parameter in parameters)
        {
            if (parameter.Current is { } owner && !adapters.IsMerged(owner)) parameter.Deactivate();
        }

        return new Restoration(Apply);
    }

    /// <summary>A base parameter can have the values of one adapter at a time, and so can those that share it while they are trained together.</summary>
    /// <exception cref="AdapterCombinationException">Two of these adapters have values for the same one.</exception>
    public void CheckTogether(IEnumerable<string> adapterNames)
    {
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in adapterNames)
        {
            foreach (var path in FileTensorsOf(adapters.Find(name)).Select(entry => entry.Name.ParameterPath).Distinct())
            {
                if (taken.TryGetValue(path, out var first) && first != name)
                    throw new AdapterCombinationException($"The adapters '{first}' and '{name}' each have their own '{path}' (modules_to_save or bias), so they cannot be active together. Activate one of them.");
                taken[path] = name;
            }
        }
    }

    /// <summary>The base's own parameters in the module at <paramref name="path"/> and the modules in it.</summary>
    public IEnumerable<WeightPlace> PlacesIn(string path)
    {
        var ofAdapters = adapters.Layers.SelectMany(layer => layer.ParameterNames.Select(name => (layer.Target.Owner, layer.RegisteredName(name)))).ToHashSet();
        return from entry in modelTargets.Modules
               where IsWithin(entry.Path, path)
               from name in WeightTies.ParameterNames(entry.Module)
               where !ofAdapters.Contains((entry.Module, name))
               select new WeightPlace(entry, name);
    }

    private void AddModulesToSave(AttachedAdapter adapter)
    {
        var config = adapter.Config;
        var chosen = TargetSelector.SelectModulesToSave(config, modelTargets.Modules.Select(entry => entry.Path));
        if (chosen.Count == 0) return;
        foreach (var module in modelTargets.Modules.Where(entry => chosen.Any(path => IsWithin(entry.Path, path)))) Expand(module);
        var now = ties();
        foreach (var place in chosen.SelectMany(PlacesIn))
        {
            // One copy for all that share it: the embedding's.
            var tied = config.TiesWeights ? now.WithEmbedding(place) : null;
            var use = tied is null ? OwnUse(place, now, chosen) : new TrainedBaseUse([.. tied.Select(OfBase)], IsTogether: true);
            if (use is not null) Add(adapter.Name, tied?[0] ?? place, use, now);
        }
    }

    /// <summary>Makes a floating-point parameter, which can be trained, of a weight in another form.</summary>
    private static void Expand(NamedModule entry)
    {
        if (BaseWeight.Of(entry.Module) is null or FloatWeight) return;
        var module = entry.Module is TiedLinear tied ? tied.Source : entry.Module;
        if (module is not EncodableModule encoded) throw new NotAdaptableException($"'{entry.Path}' is to be trained whole (modules_to_save), but holds its weight as {BaseWeight.Of(module)!.GetType().Name}. Leave it out, or give it a floating-point weight.");
        var form = encoded.Form.GetType().Name;
        encoded.Expand();
        FossilWarnings.Report($"'{entry.Path}' is to be trained whole (modules_to_save), so its {form} was expanded to {encoded.Form.Dtype}: {encoded.Form.Data.Sum(tensor => tensor.numel() * tensor.ElementSize) / 1e6:n0} MB, and the adapter has a copy of that size of its own. Choose it as target instead to keep the weight as it is.");
    }

    /// <summary>A copy for this place: together with those of the same saved module that share it, of which the first counts. Null for the others of these.</summary>
    private static TrainedBaseUse? OwnUse(WeightPlace place, WeightTies now, IReadOnlyList<string> chosen)
    {
        var sharing = now.Sharing(place);
        var whole = chosen.FirstOrDefault(path => IsWithin(place.Path, path) && sharing.Count > 0 && sharing.All(other => IsWithin(other.Path, path)));
        if (whole is null) return new TrainedBaseUse([OfBase(place)]);
        return string.CompareOrdinal(place.FullName, sharing.Min(other => other.FullName)) < 0 ? new TrainedBaseUse([OfBase(place), .. sharing.Select(OfBase)], IsTogether: true) : null;
    }

    /// <summary>Modules that share a bias go on sharing it, as in PEFT, which trains biases in place.</summary>
    private void AddBiases(AttachedAdapter adapter)
    {
        var now = ties();
        var adapted = adapter.Layers.Select(layer => layer.Target.Path).ToHashSet(StringComparer.Ordinal);
        var done = new HashSet<WeightPlace>();
        foreach (var place in PlacesIn(string.Empty).Where(place => place.Name == BaseWeight.BiasName))
        {
            WeightPlace[] sharing = [place, .. now.Sharing(place)];
            BaseTensor[] tensors =
            [
                .. from other in sharing
                   where adapted.Contains(other.Path) || adapter.Config.Bias == AdapterBias.All
                   select new BaseTensor(adapted.Contains(other.Path) ? AdapterTensorKind.AdaptedBias : AdapterTensorKind.Base, other),
            ];
            if (!sharing.Any(done.Contains) && tensors.Length > 0) Add(adapter.Name, place, new TrainedBaseUse(tensors, IsTogether: true), now);
            done.Add(place);
        }
    }

    private static bool IsWithin(string path, string parent) => parent.Length == 0 || path == parent || path.StartsWith(parent + ".", StringComparison.Ordinal);

    private static BaseTensor OfBase(WeightPlace place) => new(AdapterTensorKind.Base, place);
}
