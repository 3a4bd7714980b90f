using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel;

/// <summary>
/// The targets of a compilation and of the annotated libraries that it references: which members are targets, and which static types can hold one.
/// Made once per compilation; never part of a model.
/// </summary>
public sealed class TargetIndex
{
    private static readonly ConditionalWeakTable<Compilation, StrongBox<TargetIndex?>> Indices = new();

    // A reference that does not change keeps its symbols from one compilation to the next.
    private static readonly ConditionalWeakTable<IAssemblySymbol, TargetSet> Libraries = new();

    private readonly Dictionary<IAssemblySymbol, TargetSet> annotated = new(SymbolEqualityComparer.Default);
    private readonly TargetSet[] sets;
    private readonly ConcurrentDictionary<ITypeSymbol, bool> couldHold = new(SymbolEqualityComparer.Default);

    private TargetIndex(Compilation compilation, WellKnownTypes types, TargetSet own, CancellationToken cancellationToken)
    {
        Compilation = compilation;
        Types = types;
        foreach (var assembly in compilation.SourceModule.ReferencedAssemblySymbols)
        {
            var set = Libraries.GetValue(assembly, created => TargetsOf(created, types, cancellationToken));
            if (!set.IsEmpty) annotated[assembly] = set;
        }
        sets = [.. annotated.Values.Prepend(own).Where(set => !set.IsEmpty)];
    }

    /// <summary>The compilation.</summary>
    public Compilation Compilation { get; }

    /// <summary>The well-known types of the compilation.</summary>
    public WellKnownTypes Types { get; }

    /// <summary>Whether no class is annotated.</summary>
    public bool IsEmpty => sets.Length == 0;

    /// <summary>The index of <paramref name="compilation"/>, or null where it does not reference TorchSharp and the run-time library.</summary>
    public static TargetIndex? Of(Compilation compilation, CancellationToken cancellationToken) => Indices.GetValue(
        compilation, created => new StrongBox<TargetIndex?>(Create(created, DeclarationReader.Shared.Read(created, cancellationToken), cancellationToken))).Value;

    /// <summary>As <see cref="Of"/>, from declarations that are read already.</summary>
    public static TargetIndex? Create(Compilation compilation, ProjectDeclarations declarations, CancellationToken cancellationToken) =>
        WellKnownTypes.From(compilation) is { } types ? new TargetIndex(compilation, types, declarations.Targets, cancellationToken) : null;

    /// <summary>Whether <paramref name="member"/> is named as a target, or overrides a property that is.</summary>
    public bool IsTarget(ISymbol? member)
    {
        for (var current = member; current is not null; current = (current as IPropertySymbol)?.OverriddenProperty)
        {
            foreach (var set in sets)
            {
                if (set.Contains(current)) return true;
            }
        }
        return false;
    }

    /// <summary>Whether a value whose static type is <paramref name="type"/> can be a target.</summary>
    public bool CouldHoldTarget(ITypeSymbol? type) => type is not null && couldHold.GetOrAdd(type, ComputeCouldHold);

    /// <summary>Whether a library rewires its own calls on values of <paramref name="type"/>: it has annotated classes, with a target that such a value can be.</summary>
    public bool IsRewiredIn(IAssemblySymbol assembly, ITypeSymbol type) => type is INamedTypeSymbol named && annotated.TryGetValue(assembly, out var set) && set.CouldHold(named);

    private bool ComputeCouldHold(ITypeSymbol type) => type switch
    {
        ITypeParameterSymbol parameter => parameter.ConstraintTypes.Any(constraint => !ReferenceEquals(constraint, type) && CouldHoldTarget(constraint)),
        INamedTypeSymbol named => sets.Any(set => set.CouldHold(named)),
        _ => false,
    };

    /// <summary>The targets of an assembly that references the one of the attribute, and so may have annotated classes.</summary>
    private static TargetSet TargetsOf(IAssemblySymbol assembly, WellKnownTypes types, CancellationToken cancellationToken)
    {
        var runtime = types.AdaptAttribute.ContainingAssembly.Name;
        var mayAnnotate = assembly.Modules.Any(module => module.ReferencedAssemblies.Any(reference => reference.Name == runtime));
        return mayAnnotate ? TargetSet.Of(ClassesIn(assembly.GlobalNamespace, types, cancellationToken)) : TargetSet.Empty;
    }

    private static IEnumerable<AdaptedClass> ClassesIn(INamespaceOrTypeSymbol container, WellKnownTypes types, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        foreach (var member in container.GetMembers())
        {
            if (member is not INamespaceOrTypeSymbol inner) continue;
            if (inner is INamedTypeSymbol type && AdaptedClassParser.Parse(type, types, cancellationToken) is { } model) yield return model;
            foreach (var nested in ClassesIn(inner, types, cancellationToken)) yield return nested;
        }
    }
}
