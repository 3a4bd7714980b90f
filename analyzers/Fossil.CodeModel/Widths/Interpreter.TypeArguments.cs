using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Static members of type parameters: <c>T.Hidden</c>, where the call or construction says what T is.</content>
internal sealed partial class Interpreter
{
    /// <summary>The type that stands for a type parameter here, and the depth of the call that decided it; null where it is not known.</summary>
    private (ITypeSymbol Type, int Depth)? Resolve(ITypeSymbol type)
    {
        if (type is not ITypeParameterSymbol parameter) return (type, frame.Depth);
        for (var home = frame; home is not null; home = home.LexicalParent)
        {
            if (home.TypeArguments.TryGetValue(parameter, out var known)) return known;
            if (ObjectOf(home.Receiver) is not { Type: { } made } found) continue;
            for (var level = made as INamedTypeSymbol; level is not null; level = level.BaseType)
            {
                if (!Same(level.OriginalDefinition, parameter.DeclaringType) || level.TypeArguments[parameter.Ordinal] is not { TypeKind: not TypeKind.TypeParameter } argument) continue;
                return (argument, found.MadeDepth);
            }
        }
        return null;
    }

    /// <summary>Gives a call its type arguments, as the caller knows them.</summary>
    private void BindTypeArguments(Frame callee, IMethodSymbol method)
    {
        Bind(method.OriginalDefinition.TypeParameters, method.TypeArguments);
        if (method.ContainingType is { IsGenericType: true } type) Bind(type.OriginalDefinition.TypeParameters, type.TypeArguments);

        void Bind(IReadOnlyList<ITypeParameterSymbol> parameters, IReadOnlyList<ITypeSymbol> arguments)
        {
            for (var index = 0; index < parameters.Count && index < arguments.Count; index++)
            {
                if (!Same(parameters[index], arguments[index]) && Resolve(arguments[index]) is { } known) callee.TypeArguments[parameters[index]] = known;
            }
        }
    }

    /// <summary>A constructed type with the type arguments that are known here, and the depth of the call that decided the last of them.</summary>
    private (INamedTypeSymbol Type, int Depth) Substitute(INamedTypeSymbol type)
    {
        if (!type.IsGenericType || !type.TypeArguments.Any(argument => argument is ITypeParameterSymbol)) return (type, frame.Depth);
        var known = type.TypeArguments.Select(Resolve).ToList();
        return known.All(one => one is not null)
            ? (type.OriginalDefinition.Construct([.. known.Select(one => one!.Value.Type)]), known.Min(one => one!.Value.Depth))
            : (type, frame.Depth);
    }

    /// <summary><c>T.Hidden</c>: the property of the type that stands for T.</summary>
    private Value PropertyOfTypeParameter(IPropertySymbol property, ITypeSymbol constrained) =>
        Resolve(constrained) is var (type, depth) && type.FindImplementationForInterfaceMember(property) is IPropertySymbol actual
            ? StaticProperty(actual).KnownBy(new Provenance(depth, null))
            : new Unknown(UnknownReason.Parameter, constrained.Name);

    /// <summary><c>T.Width(4)</c>: the method of the type that stands for T; null where it is not known.</summary>
    private Value? CallOfTypeParameter(IInvocationOperation invocation, List<(IParameterSymbol Parameter, Value Value)> arguments)
    {
        if (invocation.ConstrainedToType is not { } constrained || invocation.Instance is not null || Resolve(constrained) is not var (type, depth)) return null;
        if (type.FindImplementationForInterfaceMember(invocation.TargetMethod) is not IMethodSymbol actual || source.BodyOf(actual, cancellationToken) is not { } body) return null;
        var bound = arguments.Select(argument => (actual.OriginalDefinition.Parameters[argument.Parameter.Ordinal], argument.Value)).ToList();
        return CopyBack(invocation, Invoke(actual, body, null, null, bound)).KnownBy(new Provenance(depth, null));
    }
}
