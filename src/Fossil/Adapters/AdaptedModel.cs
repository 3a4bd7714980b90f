using System.Runtime.CompilerServices;
using Fossil.Adapters;
using Fossil.Concurrency;
using Fossil.Merging;
using Fossil.Targets;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>
/// A model with adapters (PEFT: <c>PeftModel</c>). The model itself is used as before; this object changes, saves and merges its adapters.
/// Disposing it removes the adapters and leaves the base weights as they are: what is merged stays merged.
/// </summary>
/// <remarks>
/// Each method, and each call of an adapted layer, waits until no other thread is in the model; what <see cref="DisableAdapters"/> and <see cref="UseAdapters"/> return keeps the model for
/// the code that opened it. Several calls that belong together, such as a step of training, need <see cref="ExclusiveUse.UseExclusively"/>.
/// </remarks>
public sealed partial class AdaptedModel : IDisposable
{
    /// <summary>The name of an adapter for which none is given.</summary>
    public const string DefaultAdapterName = "default";

    private static readonly ConditionalWeakTable<nn.Module, AdaptedModel> Attached = [];

    private readonly ModelTargets modelTargets;
    private readonly ModelGuard guard;
    private readonly List<string> trainableBefore;
    private readonly AdapterSet adapters = new();
    private readonly AdapterParameters parameters;
    private readonly TrainedBase trainedBase;
    private readonly MergedBase mergedBase;
    private readonly TiedTargets tiedTargets;
    private readonly AdapterTensors tensors;
    private bool disposed;

    private AdaptedModel(nn.Module model)
    {
        guard = ModelGuard.Of(model);
        modelTargets = ModelTargets.Walk(model);
        foreach (var target in modelTargets.Targets) target.Guard = guard;
        trainableBefore = [.. model.named_parameters().Where(entry => entry.parameter.requires_grad).Select(entry => entry.name)];
        parameters = new(adapters, this);
        trainedBase = new(adapters, modelTargets, Ties);
        mergedBase = new(adapters, modelTargets, trainedBase, Ties);
        tiedTargets = new(modelTargets, Ties, trainedBase);
        tensors = new(modelTargets, trainedBase, mergedBase, Ties, ApplyState);
    }

    /// <summary>The model.</summary>
    public nn.Module Model => modelTargets.Model;

    /// <summary>The adaptable projections of the model.</summary>
    public IReadOnlyList<AdaptedTarget> Targets => modelTargets.Targets;

    /// <summary>The names of all adapters, in the order in which they were added.</summary>
    public IReadOnlyList<string> AdapterNames => [.. adapters.All.Select(adapter => adapter.Name)];

    /// <summary>The adapters that the forward pass uses, in order.</summary>
    public IReadOnlyList<string> ActiveAdapters => [.. adapters.Active];

    /// <summary>The configuration of an adapter.</summary>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    public AdapterConfig GetConfig(string adapterName = DefaultAdapterName) => Find(adapterName).Config;

    /// <summary>Refuses to have the weight of a module replaced by one of another shape or form while adapters count on it.</summary>
    /// <exception cref="AdapterStateException">They do.</exception>
    internal static void CheckReplaceable(nn.Module model, nn.Module module)
    {
        var isAdapted = DispatchTable.Find(module) is not null;
        if (isAdapted || (Attached.TryGetValue(model, out var adapted) && adapted.trainedBase.HasValuesIn(module)))
            throw new AdapterStateException($"{module.GetName()} cannot get another weight: adapters {(isAdapted ? "act on it" : "have values of their own for it")}. Resize or quantise before they are attached.");
    }

    internal static AdaptedModel Attach(nn.Module model, AdapterConfig? config, string adapterName, AdapterFolder? folder = null)
    {
        using var entry = ModelGuard.Of(model).Enter();
        if (Attached.TryGetValue(model, out _))
            throw new AdapterStateException($"{model.GetType().Name} has adapters already. Use AddAdapter on the AdaptedModel that AttachAdapters returned, or dispose that first.");
        var adapted = new AdaptedModel(model);
        try
        {
            adapted.AddFirst(config, adapterName, folder);
        }
        catch
        {
            adapted.Dispose();
            throw;
        }

        Attached.Add(model, adapted);
        return adapted;
    }

    /// <summary>Adds an adapter, inactive until <see cref="SetAdapter(string[])"/> names it.</summary>
    /// <param name="adapterName">Its name, e.g. <c>poems</c>.</param>
    /// <param name="config">Its configuration; any method, also one that no other adapter of the model uses.</param>
    /// <exception cref="AdapterNameException">The name is taken or cannot be used.</exception>
    /// <exception cref="NotAdaptableException">The configuration chooses a module that cannot be adapted.</exception>
    /// <exception cref="ShardSizeException">The shard size does not fit a layer.</exception>
    /// <remarks>Where it throws, the model is as it was before.</remarks>
    public void AddAdapter(string adapterName, AdapterConfig config)
    {
        using var entry = Enter();
        Create(adapterName, config);
        ApplyState();
    }

    /// <summary>Removes an adapter. If it was active, the others that were stay active.</summary>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    /// <exception cref="AdapterStateException">It is merged, or rows of a mixed batch use it.</exception>
    public void DeleteAdapter(string adapterName)
    {
        using var entry = Enter();
        var adapter = Find(adapterName);
        if (adapters.IsMerged(adapterName)) throw new AdapterStateException($"The adapter '{adapterName}' is merged into the base. Call Unmerge() before deleting it, or MergeAndUnload() to keep it there.");
        if (adapters.Rows?.Contains(adapterName) == true) throw new AdapterStateException($"The adapter '{adapterName}' is used by rows of UseAdapters, which would go on with the base alone. End that scope first.");
        if (adapter.ChangesBase) adapters.CheckNothingMerged($"delete '{adapterName}', which takes over a part of the base weights,");
        Remove(adapter);
        ApplyState();
    }

    /// <summary>Makes these adapters the active ones, in this order: their changes add up, and those that change the weight itself (Bat) act one after the other. The others do not require gradients any more.</summary>
    /// <exception cref="AdapterNameException">There is no such adapter, or a name is given twice.</exception>
    /// <exception cref="AdapterStateException">Adapters are merged.</exception>
    public void SetAdapter(params string[] adapterNames)
    {
        using var entry = Enter();
        if (adapterNames.Length == 0) throw new AdapterNameException("SetAdapter needs at least one name. To run the base model alone, use DisableAdapters().");
        foreach (var name in adapterNames)
        {
            var adapter = Find(name);
            if (adapterNames.Length > 1) adapter.Method.Require(AdapterAbilities.SeveralActive, name, "be active together with others");
        }

        if (adapterNames.Distinct().Count() != adapterNames.Length) throw new AdapterNameException($"SetAdapter({string.Join(", ", adapterNames)}) names an adapter twice.");
        adapters.CheckNothingMerged("change the active adapters");
        trainedBase.CheckTogether(adapterNames);
        parameters.Check();
        adapters.Active = [.. adapterNames];
        ApplyState();
    }

    /// <summary>Runs the base model alone until the result is disposed. Merged adapters are taken out of the base for that time; then the merged weights are back bit for bit.</summary>
    public IDisposable DisableAdapters()
    {
        using var entry = Enter();
        if (adapters.Rows is not null) throw new AdapterStateException("Adapters cannot be disabled while UseAdapters gives each row its own. Name null for the rows that should use the base alone.");
        parameters.Check();
        mergedBase.Suspend();
        adapters.Disabled++;
        ApplyState();
        return guard.Lease(() =>
        {
            adapters.Disabled--;
            if (disposed) return;
            ApplyState();
            if (adapters.Disabled == 0) mergedBase.Resume();
        });
    }

    /// <summary>
    /// Gives each row of the batch its own adapter until the result is disposed (PEFT: <c>adapter_names</c>). All rows go through one forward pass,
    /// and those whose shard sizes are equal share one shard sum.
    /// </summary>
    /// <param name="adapterNames">One name for each row (index of the first dimension); null, or PEFT's <c>__base__</c>, for the base alone.</param>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    /// <exception cref="AdapterStateException">Adapters are merged or disabled.</exception>
    public IDisposable UseAdapters(IReadOnlyList<string?> adapterNames)
    {
        using var entry = Enter();
        adapters.CheckNothingMerged("give each row its own adapter");
        if (!adapters.ActiveOnesAct) throw new AdapterStateException("UseAdapters cannot be combined with DisableAdapters() or with another UseAdapters: end that scope first.");
        string?[] rows = [.. adapterNames.Select(name => name == "__base__" ? null : name)];
        foreach (var name in rows.OfType<string>()) Find(name).Method.Require(AdapterAbilities.MixedBatches, name, "be that of some rows of a batch");
        if (trainedBase.FirstOf([.. rows.OfType<string>()]) is { } whole)
            throw new AdapterCombinationException($"UseAdapters cannot take an adapter that has its own '{whole.Name}' (modules_to_save or bias): all rows go through the same one.");
        parameters.Check();
        adapters.Rows = rows;
        ApplyState();
        return guard.Lease(() =>
        {
            adapters.Rows = null;
            if (!disposed) ApplyState();
        });
    }

    /// <summary>Stops training an adapter: its parameters do not require gradients, although it stays active.</summary>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    public void Freeze(string adapterName = DefaultAdapterName) => SetFrozen(adapterName, true);

    /// <summary>Trains an adapter again after <see cref="Freeze"/>, or one that was loaded for use only.</summary>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    public void Unfreeze(string adapterName = DefaultAdapterName) => SetFrozen(adapterName, false);

    /// <summary>Removes all adapters from the model and gives the base parameters the <c>requires_grad</c> that they had. The base weights stay as they are.</summary>
    public void Dispose()
    {
        using var entry = guard.Enter();
        if (disposed) return;
        foreach (var adapter in adapters.All) Remove(adapter);
        SetBf16Products(false);
        mergedBase.Forget();
        RestoreRequiresGrad();
        Attached.Remove(Model);
        disposed = true;
        guard.EndLeases();
    }

    private void AddFirst(AdapterConfig? config, string adapterName, AdapterFolder? folder)
    {
        // Without a configuration the attributes choose not only the targets but also their settings.
        Create(adapterName, config ?? AdapterMethods.OfAttributes, folder, fromAttributes: config is null);
        adapters.Active = [adapterName];
        foreach (var (_, parameter) in Model.named_parameters()) parameter.requires_grad = false;
        ApplyState();
    }

    /// <summary>Adds an adapter whole, or not at all.</summary>
    /// <param name="adapterName">Its name.</param>
    /// <param name="config">Its configuration.</param>
    /// <param name="folder">Where its values are read from; null where it starts anew.</param>
    /// <param name="fromAttributes">Whether the targets' attributes say more than the configuration.</param>
    /// <param name="fill">Sets its values.</param>
    internal void Create(string adapterName, AdapterConfig config, AdapterFolder? folder = null, bool fromAttributes = false, Action<AttachedAdapter>? fill = null)
    {
        if (string.IsNullOrWhiteSpace(adapterName) || adapterName.Contains('.')) throw new AdapterNameException($"'{adapterName}' cannot name an adapter: a name is not empty and has no dot, because it becomes part of parameter names.");
        if (adapters.All.Any(adapter => adapter.Name == adapterName)) throw new AdapterNameException($"There is an adapter '{adapterName}' already. Choose another name, or delete it first.");
        config = modelTargets.Written(config);
        config.Validate();
        parameters.Check();

        var method = AdapterMethods.For(config);
        var targets = tiedTargets.With(config, ConfiguredTargets.Select(modelTargets, config));
        if (!method.Abilities.HasFlag(AdapterAbilities.Embeddings) && targets.FirstOrDefault(target => target.IsEmbedding) is { } embedding)
            throw new NotAdaptableException($"'{embedding.Path}' is an embedding, which only {AdapterMethods.WithAbility(AdapterAbilities.Embeddings)} adapts, not {method.PeftType}. Leave it out of target_modules, or train it whole (modules_to_save).");
        config = method.Resolve(ConfiguredTargets.Resolve(modelTargets, config), targets, modelTargets.Modules);
        var settings = targets.Select(target => fromAttributes ? AttributeSettings.Of(target, method, config) : config).ToArray();
        var adapter = new AttachedAdapter(adapterName, settings[0]) { IsFrozen = config.InferenceMode, HasOneConfig = settings.All(settings[0].Equals) };
        // All layers are checked before the first parameter is created.
        for (var i = 0; i < settings.Length; i++) adapter.Layers.Add(method.CreateLayer(targets[i], adapterName, settings[i]));

        tiedTargets.Link(adapter);
        foreach (var layer in adapter.Layers) DispatchTable.CheckFree(layer.Target);
        if (adapter.ChangesBase) adapters.CheckNothingMerged($"attach '{adapterName}', which starts from a part of the base weights,");
        using var noGrad = no_grad();
        adapters.Add(adapter);
        try
        {
            trainedBase.Add(adapter);
            if (trainedBase.Of(adapter).Any(parameter => mergedBase.ChangesBias(parameter.Place))) adapters.CheckNothingMerged($"attach '{adapterName}', which trains a bias that they changed,");
            tiedTargets.Warn(adapter);
            if (folder is not null) tensors.Unwrap(folder.Weights);
            folder?.Start?.Set(adapter.Layers);
            adapter.Shared = method.Share(adapter, [.. adapters.All.Where(other => other != adapter && other.Method == method)], Model, folder?.Weights);
            using (var basis = adapter.Layers.Exists(layer => layer.StartsFromBase) ? mergedBase.WithBase() : null) parameters.Create(adapter);
            if (folder is not null) tensors.Read(adapter, folder);
            fill?.Invoke(adapter);
        }
        catch
        {
            Remove(adapter);
            throw;
        }
    }

    private void Remove(AttachedAdapter adapter)
    {
        trainedBase.Forget(adapter);
        parameters.Remove(adapter);
        adapter.Shared?.Dispose();
        adapters.Remove(adapter);
    }

    /// <summary>Brings every target's forward pass and every parameter's requires_grad in line with the adapters' state.</summary>
    internal void ApplyState()
    {
        foreach (var target in Targets) target.SetPlan(adapters.PlanFor(target));
        trainedBase.Apply();
        parameters.ApplyRequiresGrad();
    }

    /// <summary>The named adapter.</summary>
    /// <exception cref="AdapterNameException">There is none.</exception>
    internal AttachedAdapter Find(string adapterName) => adapters.Find(adapterName);

    /// <summary>What shares memory in the model now. What is separated at the moment counts as shared.</summary>
    private WeightTies Ties() => new(modelTargets.Modules, [.. trainedBase.Separations, .. mergedBase.Separations]);

    private void SetFrozen(string adapterName, bool frozen)
    {
        using var entry = Enter();
        Find(adapterName).IsFrozen = frozen;
        ApplyState();
    }

    private void RestoreRequiresGrad()
    {
        var parameters = Model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        foreach (var name in trainableBefore)
        {
            if (parameters.TryGetValue(name, out var parameter) && !parameter.IsInvalid) parameter.requires_grad = true;
        }
    }

    /// <summary>Waits until no other thread is in the model, and keeps others out until the result is disposed.</summary>
    /// <param name="toSave">Whether adapters are saved, which a failed backward pass forbids.</param>
    internal ModelGuard.Entry Enter(bool toSave = false)
    {
        var entry = toSave ? guard.EnterToSave() : guard.Enter();
        try
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            if (toSave) SourceFiles.Check(Model);
            return entry;
        }
        catch
        {
            entry.Dispose();
            throw;
        }
    }
}
