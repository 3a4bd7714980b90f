using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel;

/// <summary>Which members of a class can be targets.</summary>
public static class TargetMembers
{
    /// <summary>
    /// The member that <paramref name="name"/> means inside <paramref name="type"/>, in it or inherited; an accessible one before one that is not;
    /// null where there is none.
    /// </summary>
    public static ISymbol? Find(INamedTypeSymbol type, string name)
    {
        ISymbol? hidden = null;
        foreach (var level in Hierarchy(type))
        {
            foreach (var member in level.GetMembers(name))
            {
                if (member.IsImplicitlyDeclared && member is not IPropertySymbol) continue;
                if (IsAccessibleIn(type, member)) return member;
                hidden ??= member;
            }
        }
        return hidden;
    }

    /// <summary>The type of a field or of a property that can be read; null for every other member.</summary>
    public static ITypeSymbol? ReadableType(ISymbol member) => member switch
    {
        IFieldSymbol field => field.Type,
        IPropertySymbol { IsIndexer: false, GetMethod: not null } property => property.Type,
        _ => null,
    };

    /// <summary>The module type behind a member's type: itself, or that of its elements; null where it is neither.</summary>
    public static ITypeSymbol? ModuleType(ITypeSymbol memberType, WellKnownTypes types) =>
        types.IsTensorModule(memberType) ? memberType : types.ModuleElementType(memberType);

    /// <summary>Whether the generated part of <paramref name="type"/> can read <paramref name="member"/>.</summary>
    public static bool IsAccessibleIn(INamedTypeSymbol type, ISymbol member)
    {
        var accessibility = member is IPropertySymbol { GetMethod: { } getter } ? getter.DeclaredAccessibility : member.DeclaredAccessibility;
        return accessibility switch
        {
            Accessibility.Private => WellKnownTypes.Same(member.ContainingType.OriginalDefinition, type.OriginalDefinition)
                || Encloses(member.ContainingType, type),
            Accessibility.Internal or Accessibility.ProtectedAndInternal =>
                WellKnownTypes.Same(member.ContainingAssembly, type.ContainingAssembly) || member.ContainingAssembly.GivesAccessTo(type.ContainingAssembly),
            _ => true,
        };
    }

    /// <summary>Every member of <paramref name="type"/> that could be named as a target.</summary>
    public static IEnumerable<ISymbol> Candidates(INamedTypeSymbol type, WellKnownTypes types) =>
        from level in Hierarchy(type)
        from member in level.GetMembers()
        where !member.IsStatic && !member.IsImplicitlyDeclared && IsAccessibleIn(type, member)
        let memberType = ReadableType(member)
        where memberType is not null && ModuleType(memberType, types) is not null
        select member;

    /// <summary>The candidate whose name is nearest to <paramref name="name"/>, or null where none is near.</summary>
    public static string? Nearest(INamedTypeSymbol type, string name, WellKnownTypes types)
    {
        var best = Candidates(type, types)
            .Select(member => (member.Name, Distance: EditDistance(member.Name.ToUpperInvariant(), name.ToUpperInvariant())))
            .OrderBy(candidate => candidate.Distance).ThenBy(candidate => candidate.Name, StringComparer.Ordinal)
            .FirstOrDefault();
        return best.Name is not null && best.Distance <= Math.Max(2, name.Length / 2) ? best.Name : null;
    }

    private static IEnumerable<INamedTypeSymbol> Hierarchy(INamedTypeSymbol type) => Bases(type).Prepend(type);

    /// <summary>The base classes of <paramref name="type"/>, the nearest first.</summary>
    internal static IEnumerable<INamedTypeSymbol> Bases(INamedTypeSymbol type)
    {
        for (var level = type.BaseType; level is not null; level = level.BaseType) yield return level;
    }

    private static bool Encloses(INamedTypeSymbol outer, INamedTypeSymbol type)
    {
        for (var level = type.ContainingType; level is not null; level = level.ContainingType)
        {
            if (WellKnownTypes.Same(level.OriginalDefinition, outer.OriginalDefinition)) return true;
        }
        return false;
    }

    /// <summary>Levenshtein distance, row by row.</summary>
    private static int EditDistance(string left, string right)
    {
        var row = Enumerable.Range(0, right.Length + 1).ToArray();
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var substituted = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[right.Length];
    }
}
