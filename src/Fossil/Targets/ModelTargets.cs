using Fossil.Adapters;
using Fossil.CompilerServices;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>The modules of a model by path, and those among them that annotated classes declare as adaptable.</summary>
internal sealed class ModelTargets
{
    private readonly Dictionary<nn.Module, AdaptedTarget> targets = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<nn.Module, NamedModule> byModule = new(ReferenceEqualityComparer.Instance);
    private readonly List<UnusableTarget> unusable = [];
    private readonly Lazy<IReadOnlyList<UnregisteredModule>> unregistered;

    private ModelTargets(nn.Module model)
    {
        Model = model;
        Modules = NamedModule.Of(model);
        unregistered = new(() => UnregisteredModules.Of(Modules));
        foreach (var entry in Modules) byModule.Add(entry.Module, entry);
        foreach (var entry in Modules)
        {
            if (entry.Module is IFossilAdaptable adaptable) Collect(entry, adaptable);
        }
    }

    /// <summary>The model.</summary>
    public nn.Module Model { get; }

    /// <summary>Every module once, the model itself first with an empty path.</summary>
    public IReadOnlyList<NamedModule> Modules { get; }

    /// <summary>The adaptable projections, in the order of the model's modules.</summary>
    public IReadOnlyList<AdaptedTarget> Targets => [.. Modules.Where(entry => targets.ContainsKey(entry.Module)).Select(entry => targets[entry.Module])];

    /// <summary>What attributes name, and what cannot be adapted as it is.</summary>
    public IEnumerable<UnusableTarget> Unusable => unusable.Where(entry => entry.Module is null || !targets.ContainsKey(entry.Module));

    /// <summary>The annotated modules that the model holds without having registered them.</summary>
    public IReadOnlyList<UnregisteredModule> Unregistered => unregistered.Value;

    /// <summary>The annotated classes of the model's modules that lack their generated part.</summary>
    public IEnumerable<Type> NotGenerated =>
        Modules.Where(entry => entry.Module is not IFossilAdaptable).Select(entry => entry.Module.GetType()).Distinct().Where(IsAnnotated);

    /// <summary>Walks <paramref name="model"/>.</summary>
    public static ModelTargets Walk(nn.Module model) => new(model);

    /// <summary>The target that <paramref name="module"/> is; null where no annotated class declares it.</summary>
    public AdaptedTarget? Find(nn.Module module) => targets.GetValueOrDefault(module);

    /// <summary>A configuration by the names in the source. Where a module keeps the name that a compiler made up, configurations may mean it by that.</summary>
    public AdapterConfig Written(AdapterConfig config) => Modules.Any(entry => MemberNames.Written(entry.Path) != entry.Path) ? config : config.WithWrittenNames();

    /// <summary>Whether a class, or one that it derives from, is marked.</summary>
    public static bool IsAnnotated(Type type)
    {
        for (var level = type; level is not null; level = level.BaseType)
        {
            if (level.IsDefined(typeof(FossilAdaptAttribute), inherit: false)) return true;
        }
        return false;
    }

    private void Collect(NamedModule owner, IFossilAdaptable adaptable)
    {
        var collector = new AdapterTargetCollector();
        adaptable.CollectAdapterTargets(collector);
        var registered = new Dictionary<nn.Module, string>(ReferenceEqualityComparer.Instance);
        foreach (var entry in NamedModule.Of(owner.Module)) registered.Add(entry.Module, entry.RegisteredPath);
        var siblings = new Dictionary<string, AdaptedTarget>(StringComparer.Ordinal);
        foreach (var target in collector.Targets)
        {
            if (target.Module is { } known && targets.ContainsKey(known)) continue;
            if (WhyNot(target) is { } reason) AddUnusable(owner, target, reason);
            else siblings.TryAdd(target.Member, Add(owner, registered, target, siblings));
        }
    }

    private AdaptedTarget Add(NamedModule owner, Dictionary<nn.Module, string> registered, AdapterTarget target, Dictionary<string, AdaptedTarget> siblings)
    {
        var module = target.Module!;
        var path = byModule[module].Path;
        // Another class of the model may have registered what this one names; what both have above them is the model.
        var isBelow = registered.TryGetValue(module, out var localPath);
        return targets[module] = isBelow ? new AdaptedTarget(owner.Module, owner.RegisteredPath, localPath!, path, module, target) { Siblings = siblings }
            : new AdaptedTarget(Model, string.Empty, byModule[module].RegisteredPath, path, module, target) { Siblings = siblings };
    }

    private UnusableReason? WhyNot(AdapterTarget target)
    {
        if (target.Module is not { } module) return UnusableReason.HoldsNothing;

        // The attribute's own method adapts no embedding, but a configuration's may.
        if (BaseWeight.IsLinear(module) || (BaseWeight.IsEmbedding(module) && target.Defaults.OnRequest)) return byModule.ContainsKey(module) ? null : IsTied(module) ? UnusableReason.Tied : UnusableReason.NotRegistered;
        return module.parameters().Any() ? UnusableReason.NotLinear : UnusableReason.HoldsNothing;
    }

    private bool IsTied(nn.Module module)
    {
        return BaseWeight.Of(module)!.Data.Any(weight => Model.parameters().Concat(Model.buffers()).Any(other => ReferenceEquals(other, weight) || (other.shape.SequenceEqual(weight.shape) && NativeTensor.Data(other) == NativeTensor.Data(weight))));
    }

    private void AddUnusable(NamedModule owner, AdapterTarget target, UnusableReason reason)
    {
        var path = target.Module is { } module && byModule.TryGetValue(module, out var entry) ? entry.Path : NamedModule.Join(owner.Path, target.Member);
        unusable.Add(new UnusableTarget(owner.Module.GetType().Name, target.Member, path, target.Module, reason));
    }
}
