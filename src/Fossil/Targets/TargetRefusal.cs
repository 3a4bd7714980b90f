using Fossil.CompilerServices;
using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>Says why a model, or what a configuration chooses in it, cannot be adapted, and what to do.</summary>
internal sealed class TargetRefusal(ModelTargets modelTargets, AdapterConfig config)
{
    private const int Shown = 5;

    /// <summary>The model has nothing that could be adapted.</summary>
    public NotAdaptableException NoTargets()
    {
        if (modelTargets.NotGenerated.FirstOrDefault() is { } type) return NotGenerated(type);
        if (modelTargets.Unregistered.Count > 0) return Unregistered($"Nothing that is registered in {modelTargets.Model.GetType().Name} can be adapted", modelTargets.Unregistered);
        var model = modelTargets.Model.GetType().Name;
        var problems = modelTargets.Unusable.Select(entry => $"{entry.Problem}. {entry.Advice}").Distinct().ToList();
        return new NotAdaptableException(problems.Count > 0
            ? $"Nothing of what the attributes name in {model} can be adapted: {string.Join(" ", problems.Take(Shown))}{(problems.Count > Shown ? " …" : string.Empty)}"
            : modelTargets.Modules.Any(entry => entry.Module is IFossilAdaptable)
                ? $"The annotated classes of {model} hold no projection at all: the lists that their attributes name are empty."
                : $"No module of {model} is annotated. Put [FossilAdapt(\"name of a projection\", …)] on the classes that hold the projections to adapt, and make them partial.");
    }

    /// <summary>The configuration chooses modules that are no targets.</summary>
    /// <param name="paths">Their paths.</param>
    public NotAdaptableException Chosen(IReadOnlyList<string> paths)
    {
        var others = paths.Skip(1).Take(Shown).ToList();
        var rest = others.Count == 0 ? string.Empty : $" The same configuration chooses {paths.Count - 1} more that cannot be adapted: {string.Join(", ", others)}{(paths.Count - 1 > Shown ? ", …" : string.Empty)}.";
        return new NotAdaptableException($"target_modules {config.TargetModules} chooses '{paths[0]}' {Why(paths[0])}{rest}");
    }

    /// <summary>Only modules that TorchSharp does not know of could be adapted.</summary>
    public static NotAdaptableException Unregistered(string what, IEnumerable<UnregisteredModule> modules) => new($"{what}: {string.Join(" ", UnregisteredModule.Explain(modules).Take(Shown))}");

    /// <summary>What an attribute names cannot be adapted.</summary>
    public static NotAdaptableException Unusable(UnusableTarget target) => new($"{target.Problem}. {target.Advice}");

    /// <summary>An annotated class that the generator has not completed.</summary>
    public static NotAdaptableException NotGenerated(Type type) => new(
        $"{type.Name} is marked with [FossilAdapt], but it has no generated part: the source generator of Fossil.Gen did not run when {type.Assembly.GetName().Name} was compiled, so none of its calls is rewired. "
        + "That happens where the project does not take the package's analyzers (ExcludeAssets, PrivateAssets on the way to it, or an Analyzer item that was removed), where the compiler is older than that of the .NET 10 SDK (it reports CS9057), "
        + "where the class is not partial, in notebooks and scripts, which run no generator, and in languages other than C#. Build the class in a C# project that references Fossil.Gen with the .NET 10 SDK.");

    private string Why(string path)
    {
        var module = modelTargets.Modules.First(entry => entry.Path == path).Module;
        var type = module.GetType().Name;
        if (modelTargets.Unusable.FirstOrDefault(entry => entry.Module == module) is { } unusable) return $"({type}): {unusable.Problem}. {unusable.Advice}";
        if (modelTargets.Targets.Where(target => target.Path.StartsWith(path + '.', StringComparison.Ordinal)).ToList() is { Count: > 0 } inside)
            return $"({type}), which holds targets and is none itself. Name them: {string.Join(", ", inside.Take(Shown).Select(target => $"\"{target.Path}\""))}{(inside.Count > Shown ? ", …" : string.Empty)}.";
        return BaseWeight.IsLinear(module) ? WhyNotAnnotated(path, type) : $"({type}), which is no linear map with a 2-D weight (out, in), so it cannot be adapted. Leave it out (exclude_modules).";
    }

    /// <summary>Elements of a list are declared by the class that holds the list; what is called by a compiled container is nobody's to annotate.</summary>
    private string WhyNotAnnotated(string path, string type)
    {
        nn.Module? container = null;
        var (parent, member) = NamedModule.Split(path);
        var owner = ModuleAt(parent);
        while (IsTorchSharps(owner))
        {
            if (!IsList(owner)) container ??= owner;
            if (parent.Length == 0) break;
            (parent, member) = NamedModule.Split(parent);
            owner = ModuleAt(parent);
        }

        var name = owner.GetType().Name;
        if (container is not null)
            return $"({type}), which {Name(container)} calls from compiled code, so that an adapter there would have no effect. Hold it in a field of {(container == owner ? "a class of your own" : name)} and call it there, with [FossilAdapt] on that class; or leave it out (exclude_modules).";
        if (modelTargets.NotGenerated.Contains(owner.GetType())) return $"({type}). {NotGenerated(owner.GetType()).Message}";
        return $"({type}), which is not annotated, so its calls are not rewired. Annotate the class that declares it: [FossilAdapt(\"{member}\", …)] on {name}; or leave it out (exclude_modules).";
    }

    private nn.Module ModuleAt(string path) => modelTargets.Modules.FirstOrDefault(entry => entry.Path == path).Module ?? modelTargets.Model;

    private static bool IsTorchSharps(nn.Module module) => module.GetType().Assembly == typeof(Linear).Assembly;

    // Lists are called element by element, by the code that holds them.
    private static bool IsList(nn.Module module) => Name(module) is nameof(ModuleList<>) or nameof(ModuleDict<>);

    private static string Name(nn.Module module) => module.GetType().Name.Split('`')[0];
}
