using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>A module of a model.</summary>
/// <param name="Path">Its path from the model, by the names in the source: what configurations and adapter files call it.</param>
/// <param name="RegisteredPath">Its path by the names that TorchSharp has it under: what <c>named_parameters</c> and <c>state_dict</c> call it.</param>
/// <param name="Module">The module.</param>
internal readonly record struct NamedModule(string Path, string RegisteredPath, nn.Module Module)
{
    /// <summary>Every module of <paramref name="root"/> once, itself first with an empty path.</summary>
    public static IReadOnlyList<NamedModule> Of(nn.Module root)
    {
        var registered = new List<(string Path, nn.Module Module)>(root.named_modules());
        var taken = registered.Select(entry => entry.Path).ToHashSet(StringComparer.Ordinal);
        var written = new Dictionary<string, string>(StringComparer.Ordinal) { [string.Empty] = string.Empty };
        var seen = new HashSet<nn.Module>(ReferenceEqualityComparer.Instance) { root };
        List<NamedModule> modules = [new(string.Empty, string.Empty, root)];
        foreach (var (path, module) in registered)
        {
            var (parent, name) = Split(path);
            // A property that hides a base class's field of its name keeps the compiler's, which tells them apart.
            var source = MemberNames.Written(name);
            if (source != name && taken.Contains(Join(parent, source))) source = name;
            written[path] = Join(written.GetValueOrDefault(parent, parent), source);
            if (seen.Add(module)) modules.Add(new(written[path], path, module));
        }
        return modules;
    }

    /// <summary>The path of the module that a path's last name is of, and that name.</summary>
    public static (string Parent, string Name) Split(string path)
    {
        var dot = path.LastIndexOf('.');
        return dot < 0 ? (string.Empty, path) : (path[..dot], path[(dot + 1)..]);
    }

    /// <summary>The path of what a module at <paramref name="parent"/> calls <paramref name="name"/>.</summary>
    public static string Join(string parent, string name) => parent.Length == 0 ? name : name.Length == 0 ? parent : $"{parent}.{name}";
}
