using System.Collections.Concurrent;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel;

/// <summary>
/// The targets of a compilation and of the annotated libraries that it references, as symbols: which members are targets, and which static
/// types can hold one. Made once per compilation; never part of a model.
/// </summary>
public sealed class TargetIndex
{
    private readonly HashSet<ISymbol> members = new(SymbolEqualityComparer.Default);
    private readonly HashSet<ITypeSymbol> moduleTypes = new(SymbolEqualityComparer.Default);
    private readonly ConcurrentDictionary<ITypeSymbol, bool> couldHold = new(SymbolEqualityComparer.Default);

    private TargetIndex(Compilation compilation, WellKnownTypes types)
    {
        Compilation = compilation;
        Types = types;
    }

    /// <summary>The compilation.</summary>
    public Compilation Compilation { get; }

    /// <summary>The well-known types of the compilation.</summary>
    public WellKnownTypes Types { get; }

    /// <summary>Whether no class is annotated.</summary>
    public bool IsEmpty => members.Count == 0;

    /// <summary>The index of <paramref name="compilation"/>, or null where it does not reference TorchSharp and the run-time library.</summary>
    public static TargetIndex? Create(Compilation compilation, CancellationToken cancellationToken)
    {
        if (WellKnownTypes.From(compilation) is not { } types) return null;
        var index = new TargetIndex(compilation, types);
        index.AddNamespace(compilation.Assembly.GlobalNamespace, cancellationToken);
        foreach (var assembly in compilation.SourceModule.ReferencedAssemblySymbols)
        {
            var mayAnnotate = assembly.Modules.Any(module => module.ReferencedAssemblies.Any(reference => reference.Name == types.AdaptAttribute.ContainingAssembly.Name));
            if (mayAnnotate) index.AddNamespace(assembly.GlobalNamespace, cancellationToken);
        }
        return index;
    }

    /// <summary>Whether <paramref name="member"/> is named as a target, or overrides a property that is.</summary>
    public bool IsTarget(ISymbol? member)
    {
        for (var current = member; current is not null; current = (current as IPropertySymbol)?.OverriddenProperty)
        {
            if (members.Contains(current.OriginalDefinition)) return true;
        }
        return false;
    }

    /// <summary>
    /// Whether a value whose static type is <paramref name="type"/> can be a target: the type is that of a target, a base or interface of
    /// it, or derived from it. Type arguments are not compared: a false yes costs one look-up at run time, a false no an adapter.
    /// </summary>
    public bool CouldHoldTarget(ITypeSymbol? type) => type is not null && couldHold.GetOrAdd(type, ComputeCouldHold);

    private bool ComputeCouldHold(ITypeSymbol type)
    {
        if (type is ITypeParameterSymbol parameter)
        {
            return parameter.ConstraintTypes.Any(constraint => !ReferenceEquals(constraint, type) && CouldHoldTarget(constraint));
        }
        var definition = type.OriginalDefinition;
        foreach (var target in moduleTypes)
        {
            if (type.TypeKind == TypeKind.Interface)
            {
                // A class that is not sealed may have a subclass with the interface.
                if (!target.IsSealed || target.AllInterfaces.Any(face => WellKnownTypes.Same(face.OriginalDefinition, definition))) return true;
            }
            else if (IsOrDerivesFrom(type, target.OriginalDefinition) || IsOrDerivesFrom(target, definition))
            {
                return true;
            }
        }
        return false;
    }

    private static bool IsOrDerivesFrom(ITypeSymbol type, ITypeSymbol ancestorDefinition)
    {
        for (var current = type; current is not null; current = current.BaseType)
        {
            if (WellKnownTypes.Same(current.OriginalDefinition, ancestorDefinition)) return true;
        }
        return false;
    }

    private void AddNamespace(INamespaceSymbol space, CancellationToken cancellationToken)
    {
        foreach (var member in space.GetMembers())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (member is INamespaceSymbol nested) AddNamespace(nested, cancellationToken);
            else if (member is INamedTypeSymbol type) AddType(type, cancellationToken);
        }
    }

    private void AddType(INamedTypeSymbol type, CancellationToken cancellationToken)
    {
        if (type.TypeKind == TypeKind.Class && MayHaveAttributes(type, cancellationToken) && AdaptedClassParser.Parse(type, Types, cancellationToken) is { } model)
        {
            foreach (var target in model.Targets)
            {
                if (TargetMembers.Find(type, target.Member) is { } member) AddTarget(member);
            }
        }
        foreach (var nested in type.GetTypeMembers()) AddType(nested, cancellationToken);
    }

    private void AddTarget(ISymbol member)
    {
        members.Add(member.OriginalDefinition);
        if (TargetMembers.ReadableType(member) is { } type && TargetMembers.ModuleType(type, Types) is { } module)
        {
            // A target of type T is known by what T must be.
            moduleTypes.Add(module is ITypeParameterSymbol parameter ? parameter.ConstraintTypes.FirstOrDefault(Types.IsTensorModule) ?? Types.TensorModule : module);
        }
    }

    /// <summary>Attributes of classes written without any are not worth binding.</summary>
    private static bool MayHaveAttributes(INamedTypeSymbol type, CancellationToken cancellationToken) =>
        type.DeclaringSyntaxReferences.IsEmpty
        || type.DeclaringSyntaxReferences.Any(reference => reference.GetSyntax(cancellationToken) is TypeDeclarationSyntax { AttributeLists.Count: > 0 });
}
