using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Patterns: each matches, does not, or it is not known. Variables that it declares get their values.</content>
internal sealed partial class Interpreter
{
    private bool? MatchesPattern(IPatternOperation pattern, Value value)
    {
        switch (pattern)
        {
            case IDiscardPatternOperation or ISlicePatternOperation { Pattern: null }:
                return true;
            case IConstantPatternOperation constant:
                return AreEqual(value, Evaluate(constant.Value));
            case IDeclarationPatternOperation declaration:
                if (declaration.DeclaredSymbol is { } declared) SetVariable(frame, declared, CopyOfStruct(value));
                return declaration.MatchesNull ? true : TypeMatches(value, declaration.MatchedType);
            case ITypePatternOperation type:
                return TypeMatches(value, type.MatchedType);
            case INegatedPatternOperation negated:
                return !MatchesPattern(negated.Pattern, value);
            case IRelationalPatternOperation relational:
                return Combine(relational.OperatorKind, value, Evaluate(relational.Value), false) is Constant { Content: bool holds } ? holds : null;
            case IBinaryPatternOperation { OperatorKind: BinaryOperatorKind.Or } either:
                return Any([either.LeftPattern, either.RightPattern], side => MatchesPattern(side, value));
            case IBinaryPatternOperation both:
                return And(MatchesPattern(both.LeftPattern, value), MatchesPattern(both.RightPattern, value));
            case IRecursivePatternOperation recursive:
                return MatchesRecursive(recursive, value);
            case IListPatternOperation list:
                return MatchesList(list, value);
            default:
                DeclareIn(pattern);
                return value is Constant { Content: null } ? false : null;
        }
    }

    private bool? MatchesRecursive(IRecursivePatternOperation pattern, Value value)
    {
        if (pattern.DeclaredSymbol is { } declared) SetVariable(frame, declared, CopyOfStruct(value));
        var matches = TypeMatches(value, pattern.MatchedType);
        for (var index = 0; index < pattern.DeconstructionSubpatterns.Length; index++)
        {
            matches = And(matches, MatchesPattern(pattern.DeconstructionSubpatterns[index], Part(value, index, pattern.DeconstructionSubpatterns.Length)));
        }
        foreach (var property in pattern.PropertySubpatterns)
        {
            var member = property.Member switch
            {
                IFieldReferenceOperation field => Select(value, field.Field),
                IPropertyReferenceOperation { Property.IsIndexer: false } reference => Select(value, reference.Property),
                _ => NotFollowed,
            };
            matches = And(matches, MatchesPattern(property.Pattern, member));
        }
        return matches;
    }

    private bool? MatchesList(IListPatternOperation pattern, Value value)
    {
        if (pattern.DeclaredSymbol is { } declared) SetVariable(frame, declared, value);
        var slice = pattern.Patterns.IndexOf(pattern.Patterns.FirstOrDefault(inner => inner is ISlicePatternOperation)!);
        if (ObjectOf(value) is not { IsSequence: true, HasExactItems: true } sequence || slice >= 0 && pattern.Patterns[slice] is ISlicePatternOperation { Pattern: not null })
        {
            DeclareIn(pattern);
            return value is Constant { Content: null } ? false : null;
        }
        var length = sequence.Items.Length;
        if (slice < 0 ? length != pattern.Patterns.Length : length < pattern.Patterns.Length - 1) return false;
        bool? matches = true;
        for (var index = 0; index < pattern.Patterns.Length; index++)
        {
            if (index == slice) continue;
            var position = slice < 0 || index < slice ? index : length - (pattern.Patterns.Length - index);
            matches = And(matches, MatchesPattern(pattern.Patterns[index], sequence.Items[position].KnownBy(value.From)));
        }
        return matches;
    }

    private static bool? And(bool? left, bool? right) => left == false || right == false ? false : left == true && right == true ? true : null;

    /// <summary>Whether a value is of a type, null aside: certain for what the value's kind tells.</summary>
    private bool? TypeMatches(Value value, ITypeSymbol? type) => value switch
    {
        Constant { Content: null } => false,
        Constant { Content: int } when type?.SpecialType == SpecialType.System_Int32 => true,
        Constant { Content: long } when type?.SpecialType == SpecialType.System_Int64 => true,
        Constant { Content: double } when type?.SpecialType == SpecialType.System_Double => true,
        Constant { Content: string } when type?.SpecialType == SpecialType.System_String => true,
        Constant { Content: bool } when type?.SpecialType == SpecialType.System_Boolean => true,
        TupleValue when type is { IsTupleType: true } => true,
        Reference when ObjectOf(value) is { Type: { } actual } found => IsOrDerivesFrom(actual, type as INamedTypeSymbol) ? true : found is { IsExact: true, IsSequence: false } && type is INamedTypeSymbol { TypeKind: TypeKind.Class or TypeKind.Struct } ? false : null,
        _ => null,
    };

    private void DeclareIn(IPatternOperation pattern)
    {
        foreach (var inner in pattern.DescendantsAndSelf())
        {
            if (inner is IDeclarationPatternOperation { DeclaredSymbol: { } declared }) SetVariable(frame, declared, NotFollowed);
            if (inner is IRecursivePatternOperation { DeclaredSymbol: { } bound }) SetVariable(frame, bound, NotFollowed);
            if (inner is IListPatternOperation { DeclaredSymbol: { } listed }) SetVariable(frame, listed, NotFollowed);
        }
    }
}
