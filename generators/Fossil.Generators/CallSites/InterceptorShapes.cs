using System.Globalization;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Generators.CallSites;

/// <summary>The signature that the compiler asks of an interceptor: the declaring type of the called method as <c>this</c>, and its parameter and result.</summary>
internal static class InterceptorShapes
{
    public static InterceptorShape Of(IInvocationOperation invocation)
    {
        var method = invocation.TargetMethod;
        var type = method.ContainingType;
        if (MentionsTypeParameter(type))
        {
            // Inside Block<T>, a call on Projection<T>: the interceptor is generic as the declaring type is, and the compiler passes the arguments on.
            type = type.OriginalDefinition;
            method = method.OriginalDefinition;
        }
        var parameters = MentionsTypeParameter(type) ? TypeParameters(type).ToList() : [];
        // By position: their own names may mean something else in a method, or be that of the interceptor.
        string Name(ITypeParameterSymbol parameter) => string.Format(CultureInfo.InvariantCulture, "T{0}", parameters.FindIndex(one => WellKnownTypes.Same(one, parameter)));
        string Display(ITypeSymbol shown, SymbolDisplayFormat format) => string.Concat(shown.ToDisplayParts(format).Select(part => part.Symbol is ITypeParameterSymbol parameter ? Name(parameter) : part.ToString()));

        return new InterceptorShape(
            Method: method.Name,
            TypeParameters: parameters.Count == 0 ? "" : $"<{string.Join(", ", parameters.Select(Name))}>",
            Constraints: string.Concat(parameters.Select(parameter => Constraints(parameter, Name(parameter), constraint => Display(constraint, SymbolNames.FullyQualifiedNullable)))),
            TargetType: Display(type, SymbolNames.FullyQualified),
            IsInterface: type.TypeKind == TypeKind.Interface,
            InputType: Display(method.Parameters[0].Type, SymbolNames.FullyQualifiedNullable),
            ResultType: Display(method.ReturnType, SymbolNames.FullyQualifiedNullable));
    }

    private static bool MentionsTypeParameter(ITypeSymbol type) => type switch
    {
        ITypeParameterSymbol => true,
        IArrayTypeSymbol array => MentionsTypeParameter(array.ElementType),
        INamedTypeSymbol named => named.TypeArguments.Any(MentionsTypeParameter) || (named.ContainingType is { } outer && MentionsTypeParameter(outer)),
        _ => false,
    };

    private static IEnumerable<ITypeParameterSymbol> TypeParameters(INamedTypeSymbol type) =>
        type.ContainingType is { } outer ? TypeParameters(outer).Concat(type.TypeParameters) : type.TypeParameters;

    private static string Constraints(ITypeParameterSymbol parameter, string name, Func<ITypeSymbol, string> display)
    {
        var constraints = new List<string>();
        if (parameter.HasUnmanagedTypeConstraint) constraints.Add("unmanaged");
        else if (parameter.HasValueTypeConstraint) constraints.Add("struct");
        else if (parameter.HasReferenceTypeConstraint) constraints.Add(parameter.ReferenceTypeConstraintNullableAnnotation == NullableAnnotation.Annotated ? "class?" : "class");
        else if (parameter.HasNotNullConstraint) constraints.Add("notnull");
        constraints.AddRange(parameter.ConstraintTypes.Select(display));
        if (parameter.HasConstructorConstraint) constraints.Add("new()");
        if (parameter.AllowsRefLikeType) constraints.Add("allows ref struct");
        return constraints.Count == 0 ? "" : $" where {name} : {string.Join(", ", constraints)}";
    }
}
