using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeModel;

/// <summary>Reads the <c>[FossilAdapt]</c>s of a class into an <see cref="AdaptedClass"/>: the one parse behind generator and analyzers.</summary>
public static class AdaptedClassParser
{
    /// <summary>The attributes of <paramref name="type"/> that are <c>[FossilAdapt]</c>, in the order that <see cref="ParseProblem.AttributeIndex"/> counts.</summary>
    public static IReadOnlyList<AttributeData> AdaptAttributes(INamedTypeSymbol type, WellKnownTypes types) =>
        type.GetAttributes().Where(types.IsAdaptAttribute).ToList();

    /// <summary>Whether <paramref name="type"/> is marked.</summary>
    public static bool IsAnnotated(INamedTypeSymbol type, WellKnownTypes types) => type.GetAttributes().Any(types.IsAdaptAttribute);

    /// <summary>The model of <paramref name="type"/>, or null where it is no annotated class.</summary>
    public static AdaptedClass? Parse(INamedTypeSymbol type, WellKnownTypes types, CancellationToken cancellationToken) =>
        type.TypeKind == TypeKind.Class && IsAnnotated(type, types) ? types.ClassOf(type, one => Read(one, types, cancellationToken)) : null;

    private static AdaptedClass Read(INamedTypeSymbol type, WellKnownTypes types, CancellationToken cancellationToken)
    {
        var attributes = AdaptAttributes(type, types);
        var problems = new List<ParseProblem>();
        var declarations = ContainingTypes(type).Select(level => Declaration(level, cancellationToken)).ToEquatableArray();
        var canEmit = CheckClass(type, types, declarations, problems);

        var targets = new List<AdaptedTarget>();
        for (var index = 0; index < attributes.Count; index++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            new AdaptAttributeReader(type, types, attributes[index], index, problems).ReadInto(targets);
        }

        return new AdaptedClass(
            Namespace: NamespaceOf(type),
            Declarations: declarations,
            MetadataName: MetadataNameOf(type),
            IsSealed: type.IsSealed,
            HasAdaptedBase: HasAdaptedBase(type, types, cancellationToken),
            CanEmit: canEmit,
            Targets: targets.ToEquatableArray(),
            Problems: problems.ToEquatableArray());
    }

    /// <summary>The full metadata name of <paramref name="type"/>, as <see cref="Compilation.GetTypeByMetadataName"/> takes it.</summary>
    public static string MetadataNameOf(INamedTypeSymbol type)
    {
        var name = type.ContainingType is null ? type.MetadataName : string.Join("+", ContainingTypes(type).Select(level => level.MetadataName));
        return type.ContainingNamespace is { IsGlobalNamespace: false } space ? $"{space.ToDisplayString(SymbolNames.Unescaped)}.{name}" : name;
    }

    private static bool CheckClass(INamedTypeSymbol type, WellKnownTypes types, EquatableArray<TypeDeclaration> declarations, List<ParseProblem> problems)
    {
        var count = problems.Count;
        void Report(ParseProblemKind kind, params string[] arguments) => problems.Add(new ParseProblem(kind, -1, -1, null, arguments.ToEquatableArray()));

        if (type.IsStatic) Report(ParseProblemKind.StaticClass, type.Name);
        else if (!types.IsModule(type)) Report(ParseProblemKind.NotAModule, type.Name);
        if (ContainingTypes(type).Any(level => level.IsFileLocal)) Report(ParseProblemKind.FileLocal, type.Name);
        for (var level = 0; level < declarations.Count; level++)
        {
            if (declarations[level].IsPartial) continue;
            if (level == declarations.Count - 1) Report(ParseProblemKind.NotPartial, type.Name);
            else Report(ParseProblemKind.ContainingTypeNotPartial, type.Name, declarations[level].Name);
        }
        return problems.Count == count;
    }

    private static bool HasAdaptedBase(INamedTypeSymbol type, WellKnownTypes types, CancellationToken cancellationToken)
    {
        for (var current = type.BaseType; current is not null; current = current.BaseType)
        {
            var definition = current.OriginalDefinition;
            if (definition.SpecialType != SpecialType.None || WellKnownTypes.Same(definition, types.Module)) return false;
            if (!IsAnnotated(definition, types)) continue;

            var hasGeneratedPart = definition.DeclaringSyntaxReferences.IsEmpty
                ? !definition.GetMembers(WellKnownNames.CollectMethod).IsEmpty
                : CheckClass(definition, types, ContainingTypes(definition).Select(level => Declaration(level, cancellationToken)).ToEquatableArray(), []);
            if (hasGeneratedPart) return true;
        }
        return false;
    }

    private static IEnumerable<INamedTypeSymbol> ContainingTypes(INamedTypeSymbol type) =>
        type.ContainingType is { } outer ? ContainingTypes(outer).Concat([type]) : [type];

    private static TypeDeclaration Declaration(INamedTypeSymbol type, CancellationToken cancellationToken)
    {
        var keyword = type switch
        {
            { TypeKind: TypeKind.Interface } => "interface",
            { TypeKind: TypeKind.Struct, IsRecord: true } => "record struct",
            { TypeKind: TypeKind.Struct } => "struct",
            { IsRecord: true } => "record",
            _ => "class",
        };
        var parameters = type.TypeParameters.IsEmpty ? "" : $"<{string.Join(", ", type.TypeParameters.Select(parameter => SymbolNames.Escape(parameter.Name)))}>";
        var isPartial = type.DeclaringSyntaxReferences.Length > 0 && type.DeclaringSyntaxReferences.All(reference =>
            reference.GetSyntax(cancellationToken) is TypeDeclarationSyntax declaration && declaration.Modifiers.Any(SyntaxKind.PartialKeyword));
        return new TypeDeclaration(keyword, SymbolNames.Escape(type.Name) + parameters, isPartial);
    }

    private static string NamespaceOf(INamedTypeSymbol type) =>
        type.ContainingNamespace is { IsGlobalNamespace: false } space ? space.ToDisplayString(SymbolNames.EscapedNamespace) : "";
}
