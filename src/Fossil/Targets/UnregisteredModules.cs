using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>
/// Looks for annotated modules that the objects of a model hold in their fields, and that nobody has registered. TorchSharp knows only what is registered: a
/// module registers what its fields hold when <c>RegisterComponents</c> is called on it, by itself or by the module that registers it. <c>Sequential</c> does not call it,
/// and arrays, lists and dictionaries are not looked into.
/// </summary>
internal sealed class UnregisteredModules
{
    // Whoever keeps more than that in a module keeps data there.
    private const int MaximumObjects = 100_000;
    private const int MaximumDepth = 32;

    private readonly Dictionary<nn.Module, string> registered = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<object> seen = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<Assembly> assemblies = [];
    private readonly Queue<(object Value, Place Place)> waiting = new();
    private readonly List<UnregisteredModule> found = [];

    private UnregisteredModules(IReadOnlyList<NamedModule> modules)
    {
        foreach (var entry in modules) registered.Add(entry.Module, entry.Path);
        foreach (var entry in modules) Learn(entry.Module.GetType());
        foreach (var entry in modules)
        {
            foreach (var (member, value) in Parts(entry.Module)) Visit(value, new Place(entry, member, IsDirect: value is nn.Module, NamedModule.Join(entry.Path, member), Depth: 0));
            while (waiting.TryDequeue(out var next))
            {
                foreach (var (name, part) in Parts(next.Value)) Visit(part, next.Place with { Path = NamedModule.Join(next.Place.Path, name), Depth = next.Place.Depth + 1 });
            }
        }
    }

    /// <summary>The annotated modules that the modules of a model hold without having registered them.</summary>
    public static IReadOnlyList<UnregisteredModule> Of(IReadOnlyList<NamedModule> modules) => new UnregisteredModules(modules).found;

    private void Visit(object? value, Place place)
    {
        if (value is null || !MayHold(value.GetType())) return;
        if (value is nn.Module module)
        {
            if (registered.ContainsKey(module) || !seen.Add(module)) return;
            Learn(module.GetType());
            if (ModelTargets.IsAnnotated(module.GetType())) found.Add(Describe(module, place));
        }
        else if (!value.GetType().IsValueType && !seen.Add(value))
        {
            return;
        }
        if (place.Depth < MaximumDepth && seen.Count < MaximumObjects) waiting.Enqueue((value, place));
    }

    private UnregisteredModule Describe(nn.Module module, Place place)
    {
        var (owner, member) = (place.Owner.Module, place.Member);
        if (IsContainer(owner))
        {
            // The list is registered, and got its elements later: it is the class that holds it which has to change.
            var (parent, name) = NamedModule.Split(place.Owner.Path);
            if (registered.FirstOrDefault(entry => entry.Value == parent).Key is { } holder && parent != place.Owner.Path) (owner, member) = (holder, name);
        }
        return new(owner.GetType().Name, member, place.Path, module, Advice(place, owner, member));
    }

    private static string Advice(Place place, nn.Module owner, string member)
    {
        if (IsContainer(place.Owner.Module)) return "Add the elements before RegisterComponents() is called.";
        if (!place.IsDirect) return "RegisterComponents() does not look into an array, list, dictionary or other object: use a ModuleList or ModuleDict, or call register_module for each module.";
        return owner.named_children().Any() || owner.parameters(recurse: false).Any()
            ? $"Assign it before RegisterComponents() is called, or call register_module(\"{member}\", {member})."
            : $"Call RegisterComponents() at the end of {owner.GetType().Name}'s constructor.";
    }

    /// <summary>What an object holds: the elements of a collection, the fields of a module or of another object of the model's own assemblies.</summary>
    private IEnumerable<(string Name, object? Value)> Parts(object value) => value switch
    {
        nn.Module module => FieldsOf(module).Concat(ElementsOf(module)),
        IDictionary dictionary => dictionary.Keys.Cast<object>().Select(key => (key.ToString() ?? string.Empty, dictionary[key])),
        // Only known collections: a sequence of the user's own may compute its elements.
        IEnumerable elements when value is ICollection || value.GetType().Namespace?.StartsWith("System.Collections", StringComparison.Ordinal) == true => Numbered(elements),
        ITuple tuple => Enumerable.Range(0, tuple.Length).Select(index => ($"Item{index + 1}", tuple[index])),
        _ when assemblies.Contains(value.GetType().Assembly) || IsPair(value.GetType()) => FieldsOf(value),
        _ => [],
    };

    private static IEnumerable<(string Name, object? Value)> Numbered(IEnumerable elements) => elements.Cast<object?>().Select((element, index) => (index.ToString(CultureInfo.InvariantCulture), element));

    /// <summary>The elements of a <c>ModuleList</c>, a <c>ModuleDict</c> or a <c>Sequential</c>.</summary>
    [UnconditionalSuppressMessage("Trimming", "IL2075", Justification = "As for fields.")]
    private static IEnumerable<(string Name, object? Value)> ElementsOf(nn.Module module)
    {
        if (!IsContainer(module)) return [];
        if (module is IEnumerable<nn.Module> list) return Numbered(list);
        // A ModuleDict cannot be enumerated as a collection of modules.
        var type = module.GetType();
        return type.GetProperty(nameof(IDictionary.Keys))?.GetValue(module) is IEnumerable<string> keys && type.GetProperty(nameof(IDictionary.Values))?.GetValue(module) is IEnumerable<nn.Module> values
            ? keys.Zip(values, (key, value) => (key, (object?)value))
            : [];
    }

    [UnconditionalSuppressMessage("Trimming", "IL2075", Justification = "TorchSharp registers by the same fields. Where one is trimmed, nothing can be in it, and what is not found is only not reported.")]
    private static IEnumerable<(string Name, object? Value)> FieldsOf(object value)
    {
        // TorchSharp's own modules hold no annotated ones, but as elements.
        for (var type = value.GetType(); type is not null && type.Assembly != typeof(Linear).Assembly; type = type.BaseType)
        {
            foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                if (MayHold(field.FieldType)) yield return (MemberNames.Written(field.Name), field.GetValue(value));
            }
        }
    }

    /// <summary>Whether a module is one of TorchSharp's, or derived from one, that hold others as elements.</summary>
    private static bool IsContainer(nn.Module module)
    {
        for (var type = module.GetType(); type is not null; type = type.BaseType)
        {
            if (type == typeof(Sequential) || (type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(ModuleList<>) || type.GetGenericTypeDefinition() == typeof(ModuleDict<>)))) return true;
        }
        return false;
    }

    private static bool IsPair(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(KeyValuePair<,>);

    private static bool MayHold(Type type) => !type.IsPrimitive && !type.IsEnum && !type.IsPointer && type != typeof(string) && type != typeof(Tensor) && type != typeof(Parameter)
        && (!type.IsArray || MayHold(type.GetElementType()!)) && (!type.IsGenericType || type.GetGenericArguments().Any(MayHold));

    private void Learn(Type type)
    {
        if (type.Assembly != typeof(Linear).Assembly) assemblies.Add(type.Assembly);
    }

    /// <summary>Where a value was found: the registered module and its member that lead to it, and the path that it would have.</summary>
    private readonly record struct Place(NamedModule Owner, string Member, bool IsDirect, string Path, int Depth);
}

/// <summary>An annotated module of which TorchSharp does not know that it is part of the model.</summary>
/// <param name="Owner">The name of the class that would have to register it.</param>
/// <param name="Member">The member of that class that holds it, or leads to it.</param>
/// <param name="Path">The path that it would have in the model.</param>
/// <param name="Module">The module.</param>
/// <param name="Advice">What to do.</param>
internal sealed record UnregisteredModule(string Owner, string Member, string Path, nn.Module Module, string Advice)
{
    /// <summary>The paths that the targets of the module would have; its own where its generated part is missing.</summary>
    public IEnumerable<string> TargetPaths
    {
        get
        {
            if (Module is not IFossilAdaptable adaptable) return [Path];
            var collector = new AdapterTargetCollector();
            adaptable.CollectAdapterTargets(collector);
            return collector.Targets.Select(target => NamedModule.Join(Path, target.Member));
        }
    }

    /// <summary>One message for each member that forgets modules, with the advice.</summary>
    public static IEnumerable<string> Explain(IEnumerable<UnregisteredModule> modules) => modules.GroupBy(module => (module.Owner, module.Member, module.Advice)).Select(group =>
    {
        var types = group.Select(module => module.Module.GetType().Name).Distinct().ToList();
        var rest = group.Count() == 1 ? string.Empty : $" and {group.Count() - 1} more";
        return $"{group.Key.Owner}.{group.Key.Member} holds annotated modules ({string.Join(", ", types)}) that are not registered, at '{group.First().Path}'{rest}, so they get no adapter and are neither moved nor saved. {group.Key.Advice}";
    });
}
