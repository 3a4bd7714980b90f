using Fossil.Adapters;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>The modules of a model by path, and those among them that annotated classes declare as adaptable.</summary>
internal sealed class TargetFinder
{
    private readonly Dictionary<nn.Module, AdaptedTarget> targets = new(ReferenceEqualityComparer.Instance);

    private TargetFinder(nn.Module model)
    {
        Model = model;
        Modules = NamedModules(model);
        foreach (var (path, module) in Modules)
        {
            if (module is IFossilAdaptable adaptable) Collect(path, module, adaptable);
        }
    }

    /// <summary>The model.</summary>
    public nn.Module Model { get; }

    /// <summary>Every module once, the model itself first with an empty path.</summary>
    public IReadOnlyList<(string Path, nn.Module Module)> Modules { get; }

    /// <summary>The adaptable projections, in the order of the model's modules.</summary>
    public IReadOnlyList<AdaptedTarget> Targets => [.. Modules.Where(entry => targets.ContainsKey(entry.Module)).Select(entry => targets[entry.Module])];

    /// <summary>Walks <paramref name="model"/>.</summary>
    /// <exception cref="NotAdaptableException">A target is not registered, or has no 2-D weight.</exception>
    public static TargetFinder Walk(nn.Module model) => new(model);

    /// <summary>The target that <paramref name="module"/> is; null where no annotated class declares it.</summary>
    public AdaptedTarget? Find(nn.Module module) => targets.GetValueOrDefault(module);

    /// <summary>The class that would have to be annotated so that the module at <paramref name="path"/> can be adapted.</summary>
    public (string ClassName, string Member) DeclaringClass(string path)
    {
        var dot = path.LastIndexOf('.');
        var parentPath = dot < 0 ? string.Empty : path[..dot];
        var parent = Modules.FirstOrDefault(entry => entry.Path == parentPath).Module ?? Model;
        // Elements of a list are declared by the class that holds the list.
        return parent.GetType().Name.StartsWith("ModuleList", StringComparison.Ordinal) && parentPath.Length > 0
            ? DeclaringClass(parentPath)
            : (parent.GetType().Name, path[(dot + 1)..]);
    }

    private void Collect(string ownerPath, nn.Module owner, IFossilAdaptable adaptable)
    {
        var collector = new AdapterTargetCollector();
        adaptable.CollectAdapterTargets(collector);
        var paths = new Dictionary<nn.Module, string>(ReferenceEqualityComparer.Instance);
        foreach (var (path, module) in NamedModules(owner)) paths.Add(module, path);
        foreach (var target in collector.Targets)
        {
            if (target.Module is not { } module || targets.ContainsKey(module)) continue;
            if (!paths.TryGetValue(module, out var localPath))
            {
                throw new NotAdaptableException(
                    $"{owner.GetType().Name}.{target.Member} is annotated but not registered as a submodule of {owner.GetType().Name}, so it would be neither moved nor saved. Assign it before RegisterComponents() is called, or call register_module.");
            }

            if (BaseWeight.Find(module) is not { } weight || weight.dim() != 2)
                throw new NotAdaptableException($"{owner.GetType().Name}.{target.Member} ({module.GetType().Name}) has no 2-D weight (out, in), so it cannot be adapted. Remove it from [FossilAdapt].");

            targets.Add(module, new AdaptedTarget(owner, ownerPath, localPath, module, target.Defaults));
        }
    }

    private static List<(string Path, nn.Module Module)> NamedModules(nn.Module root)
    {
        var seen = new HashSet<nn.Module>(ReferenceEqualityComparer.Instance) { root };
        List<(string, nn.Module)> modules = [(string.Empty, root)];
        foreach (var (path, module) in root.named_modules())
        {
            if (seen.Add(module)) modules.Add((path, module));
        }
        return modules;
    }
}
