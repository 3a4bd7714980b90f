using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>A variable, or a member of one, that holds a model, an adapted model or an optimizer.</summary>
/// <param name="symbol">The variable or member.</param>
/// <param name="owner">What the member is read from; null for a variable and for a member of <c>this</c> or of a type.</param>
internal sealed class Subject(ISymbol symbol, Subject? owner) : IEquatable<Subject>
{
    public ISymbol Symbol { get; } = symbol;

    public string Name => owner is null ? Symbol.Name : $"{owner.Name}.{Symbol.Name}";

    /// <summary>Whether only a constructor of the class around can give it another value.</summary>
    public bool IsReadOnly => owner is null && Symbol is IFieldSymbol { IsReadOnly: true } or IPropertySymbol { SetMethod: null };

    /// <summary>What an expression names; the model of <c>adapted.Model</c> is that of the adapted model.</summary>
    public static Subject? Of(IOperation? value) => value is null ? null : Unwrap(value) switch
    {
        ILocalReferenceOperation local => new Subject(local.Local, null),
        IParameterReferenceOperation parameter => new Subject(parameter.Parameter, null),
        IPropertyReferenceOperation { Property: { Name: "Model", ContainingType.Name: "AdaptedModel" } } property => Of(property.Instance),
        IFieldReferenceOperation or IPropertyReferenceOperation { Property.IsIndexer: false } => OfMember((IMemberReferenceOperation)Unwrap(value)),
        _ => null,
    };

    /// <summary>The expression behind conversions and parentheses.</summary>
    public static IOperation Unwrap(IOperation value) => value switch
    {
        IConversionOperation conversion => Unwrap(conversion.Operand),
        IParenthesizedOperation parenthesized => Unwrap(parenthesized.Operand),
        _ => value,
    };

    public bool Equals(Subject? other) => other is not null && WellKnownTypes.Same(Symbol, other.Symbol) && Equals(owner, other.Owner);

    public override bool Equals(object? obj) => Equals(obj as Subject);

    public override int GetHashCode() => SymbolEqualityComparer.Default.GetHashCode(Symbol);

    private Subject? Owner => owner;

    private static Subject? OfMember(IMemberReferenceOperation member)
    {
        if (member.Instance is null or IInstanceReferenceOperation) return new Subject(member.Member, null);
        return Of(member.Instance) is { } holder ? new Subject(member.Member, holder) : null;
    }
}
