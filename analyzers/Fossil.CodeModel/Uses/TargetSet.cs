using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel;

/// <summary>The targets of an assembly by their names, so that they outlive a compilation.</summary>
public sealed class TargetSet
{
    private readonly Dictionary<string, HashSet<string>> declaringTypes = [];
    private readonly HashSet<string> modules = [];
    private readonly HashSet<string> ancestors = [];
    private readonly bool isAnyOpen;

    private TargetSet(IEnumerable<AdaptedClass> classes)
    {
        foreach (var target in classes.SelectMany(one => one.Targets))
        {
            if (!declaringTypes.TryGetValue(target.Member, out var types)) declaringTypes.Add(target.Member, types = []);
            types.Add(target.DeclaringType);
            if (modules.Add(target.Module.Name)) ancestors.UnionWith(target.Module.Ancestors);
            isAnyOpen |= !target.Module.IsSealed;
        }
        ModulesHash = modules.Concat(ancestors).OrderBy(name => name, StringComparer.Ordinal).Aggregate(isAnyOpen ? 1UL : 0UL, Fingerprint.Then);
    }

    /// <summary>No targets.</summary>
    public static TargetSet Empty { get; } = new([]);

    /// <summary>Whether there are no targets.</summary>
    public bool IsEmpty => declaringTypes.Count == 0;

    /// <summary>The same for every set with the same answers of <see cref="CouldHold"/>.</summary>
    public ulong ModulesHash { get; }

    /// <summary>The targets of <paramref name="classes"/>.</summary>
    public static TargetSet Of(IEnumerable<AdaptedClass> classes) => new(classes);

    /// <summary>Whether <paramref name="member"/> is named as a target.</summary>
    public bool Contains(ISymbol member) =>
        declaringTypes.TryGetValue(member.Name, out var types) && member.ContainingType is { } type && types.Contains(AdaptedClassParser.MetadataNameOf(type));

    /// <summary>
    /// Whether a value of <paramref name="type"/> can be a target: the type is that of a target, a base or interface of it, or derived from it.
    /// Type arguments are not compared: a false yes costs one look-up at run time, a false no an adapter.
    /// </summary>
    public bool CouldHold(INamedTypeSymbol type)
    {
        // A class that is not sealed may have a subclass with the interface.
        if (type.TypeKind == TypeKind.Interface && isAnyOpen) return true;
        return ancestors.Contains(AdaptedClassParser.MetadataNameOf(type))
            || TargetMembers.Bases(type).Prepend(type).Any(level => modules.Contains(AdaptedClassParser.MetadataNameOf(level)));
    }
}
