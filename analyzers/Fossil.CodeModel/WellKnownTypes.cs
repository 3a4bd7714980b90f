using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel;

/// <summary>The symbols of one compilation behind <see cref="WellKnownNames"/>. Lives as long as the compilation: never part of a model.</summary>
public sealed class WellKnownTypes
{
    // One look-up of the names for all classes of a compilation; an edit makes a new compilation. Null is a result as well.
    private static readonly ConditionalWeakTable<Compilation, StrongBox<WellKnownTypes?>> Cache = new();

    private readonly ConcurrentDictionary<INamedTypeSymbol, AdaptedClass?> classes = new(SymbolEqualityComparer.Default);
    private readonly ConcurrentDictionary<INamedTypeSymbol, ModuleShape> shapes = new(SymbolEqualityComparer.Default);

    private WellKnownTypes(INamedTypeSymbol adaptAttribute, INamedTypeSymbol tensor, INamedTypeSymbol module, INamedTypeSymbol unaryModule)
    {
        AdaptAttribute = adaptAttribute;
        Tensor = tensor;
        Module = module;
        UnaryModule = unaryModule;
        TensorModule = unaryModule.Construct(tensor, tensor);
    }

    /// <summary><c>Fossil.FossilAdaptAttribute</c>.</summary>
    public INamedTypeSymbol AdaptAttribute { get; }

    /// <summary><c>torch.Tensor</c>.</summary>
    public INamedTypeSymbol Tensor { get; }

    /// <summary><c>torch.nn.Module</c>.</summary>
    public INamedTypeSymbol Module { get; }

    /// <summary><c>torch.nn.Module&lt;T, TResult&gt;</c>.</summary>
    public INamedTypeSymbol UnaryModule { get; }

    /// <summary><c>torch.nn.Module&lt;Tensor, Tensor&gt;</c>: what a target must be.</summary>
    public INamedTypeSymbol TensorModule { get; }

    /// <summary><c>Fossil.FossilShardSizesAttribute</c>.</summary>
    public INamedTypeSymbol? ShardSizesAttribute { get; private set; }

    /// <summary><c>torch.nn.IModule&lt;T, TResult&gt;</c>.</summary>
    public INamedTypeSymbol? UnaryModuleInterface { get; private set; }

    /// <summary><c>ModuleList&lt;T&gt;</c>.</summary>
    public INamedTypeSymbol? ModuleList { get; private set; }

    /// <summary><c>Sequential</c>.</summary>
    public INamedTypeSymbol? Sequential { get; private set; }

    /// <summary><c>Linear</c>.</summary>
    public INamedTypeSymbol? Linear { get; private set; }

    /// <summary><c>Embedding</c>.</summary>
    public INamedTypeSymbol? Embedding { get; private set; }

    /// <summary>The types, or null where the compilation references TorchSharp or the run-time library incompletely: then there is nothing to do.</summary>
    public static WellKnownTypes? From(Compilation compilation) =>
        Cache.GetValue(compilation, static key => new StrongBox<WellKnownTypes?>(Find(key))).Value;

    private static WellKnownTypes? Find(Compilation compilation)
    {
        if (compilation.GetTypeByMetadataName(WellKnownNames.AdaptAttribute) is not { } attribute
            || compilation.GetTypeByMetadataName(WellKnownNames.Tensor) is not { } tensor
            || compilation.GetTypeByMetadataName(WellKnownNames.Module) is not { } module
            || compilation.GetTypeByMetadataName(WellKnownNames.UnaryModule) is not { } unaryModule)
        {
            return null;
        }
        return new WellKnownTypes(attribute, tensor, module, unaryModule)
        {
            ShardSizesAttribute = compilation.GetTypeByMetadataName(WellKnownNames.ShardSizesAttribute),
            UnaryModuleInterface = compilation.GetTypeByMetadataName(WellKnownNames.UnaryModuleInterface),
            ModuleList = compilation.GetTypeByMetadataName(WellKnownNames.ModuleList),
            Sequential = compilation.GetTypeByMetadataName(WellKnownNames.Sequential),
            Linear = compilation.GetTypeByMetadataName(WellKnownNames.Linear),
            Embedding = compilation.GetTypeByMetadataName(WellKnownNames.Embedding),
        };
    }

    /// <summary>Whether <paramref name="type"/> is a TorchSharp module of any kind (for a type parameter: by its constraints).</summary>
    public bool IsModule(ITypeSymbol? type) => DerivesFrom(type, Module);

    /// <summary>Whether a value of <paramref name="type"/> is a tensor.</summary>
    public bool IsTensor(ITypeSymbol? type) => DerivesFrom(type, Tensor);

    /// <summary>Whether a value of <paramref name="type"/> is a <c>Sequential</c>.</summary>
    public bool IsSequential(ITypeSymbol? type) => DerivesFrom(type, Sequential);

    /// <summary>Whether a value of <paramref name="type"/> is a <c>Module&lt;Tensor, Tensor&gt;</c> (for a type parameter: by its constraints).</summary>
    public bool IsTensorModule(ITypeSymbol? type) => DerivesFrom(type, TensorModule);

    /// <summary>Whether <paramref name="type"/> is the interface <c>IModule&lt;Tensor, Tensor&gt;</c> itself.</summary>
    public bool IsTensorModuleInterface(ITypeSymbol? type) =>
        type is INamedTypeSymbol { TypeArguments: [var input, var result] } named
        && Same(named.OriginalDefinition, UnaryModuleInterface) && Same(input, Tensor) && Same(result, Tensor);

    /// <summary>
    /// The element type of an array, <c>ModuleList</c> or other sequence of <c>Module&lt;Tensor, Tensor&gt;</c>; null for every other type.
    /// </summary>
    public ITypeSymbol? ModuleElementType(ITypeSymbol? type)
    {
        if (type is IArrayTypeSymbol array) return array.Rank == 1 && IsTensorModule(array.ElementType) ? array.ElementType : null;
        if (type is null || type.SpecialType == SpecialType.System_String) return null;
        foreach (var candidate in type.AllInterfaces.Concat([type]))
        {
            if (candidate is INamedTypeSymbol { TypeArguments: [var element] } named
                && named.OriginalDefinition.SpecialType == SpecialType.System_Collections_Generic_IEnumerable_T
                && IsTensorModule(element))
            {
                return element;
            }
        }
        return ModuleOfDictionary(type);
    }

    /// <summary>The type of the modules in a dictionary of them by name; null for every other type.</summary>
    public ITypeSymbol? ModuleOfDictionary(ITypeSymbol? type)
    {
        if (type is not INamedTypeSymbol { IsGenericType: true } named) return null;
        var module = named.AllInterfaces.Concat([named])
            .Where(candidate => candidate is { Name: "IDictionary" or "IReadOnlyDictionary", ContainingNamespace.Name: "Generic", TypeArguments: [{ SpecialType: SpecialType.System_String }, _] })
            .Select(candidate => candidate.TypeArguments[1]).FirstOrDefault(IsTensorModule);
        // Generated code reads the keys, which a class may implement for the interface alone.
        return module is not null && TargetMembers.Bases(named).Prepend(named).Any(level => level.GetMembers("Keys").Any(keys => keys.DeclaredAccessibility == Accessibility.Public)) ? module : null;
    }

    /// <summary>The shape of a module type.</summary>
    internal ModuleShape ShapeOf(ITypeSymbol module)
    {
        var known = module;
        while (known is ITypeParameterSymbol parameter) known = parameter.ConstraintTypes.FirstOrDefault(IsTensorModule) ?? TensorModule;
        return shapes.GetOrAdd((INamedTypeSymbol)known.OriginalDefinition, static type => new ModuleShape(
            AdaptedClassParser.MetadataNameOf(type), type.IsSealed, TargetMembers.Bases(type).Concat(type.AllInterfaces).Select(AdaptedClassParser.MetadataNameOf).ToEquatableArray()));
    }

    /// <summary>The model of a class, made once for all that ask.</summary>
    internal AdaptedClass? ClassOf(INamedTypeSymbol type, Func<INamedTypeSymbol, AdaptedClass?> parse) => classes.GetOrAdd(type, parse);

    /// <summary>Whether <paramref name="attribute"/> is <c>[FossilAdapt]</c>.</summary>
    public bool IsAdaptAttribute(AttributeData attribute) => Same(attribute.AttributeClass, AdaptAttribute);

    /// <summary>Symbol identity, nullability aside.</summary>
    public static bool Same(ISymbol? left, ISymbol? right) => left is not null && SymbolEqualityComparer.Default.Equals(left, right);

    /// <summary>Whether <paramref name="type"/> is a class or derives from it (for a type parameter: by its constraints).</summary>
    public static bool DerivesFrom(ITypeSymbol? type, INamedTypeSymbol? ancestor)
    {
        if (type is ITypeParameterSymbol parameter) return parameter.ConstraintTypes.Any(constraint => !ReferenceEquals(constraint, type) && DerivesFrom(constraint, ancestor));
        for (var current = type; current is not null; current = current.BaseType)
        {
            if (Same(current, ancestor)) return true;
        }
        return false;
    }
}
