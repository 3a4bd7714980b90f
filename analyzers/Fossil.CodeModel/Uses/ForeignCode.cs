using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel;

/// <summary>Code of other assemblies, whose calls of <c>forward</c> are as they were compiled.</summary>
internal static class ForeignCode
{
    /// <summary>Whether <paramref name="value"/> is handed over, where it stands, to foreign code that can run it: as argument, into a member, or as the result that it asked for.</summary>
    public static bool Gets(IOperation value, TargetIndex index) => value.Parent switch
    {
        IArgumentOperation { Parameter: { } parameter } argument when Called(argument) is { } called =>
            CanRun(called, parameter.OriginalDefinition.Type, index) || IsAddedToForeignList(argument, called, index),
        IAssignmentOperation assignment when ReferenceEquals(assignment.Value, value) => IsForeignMember(assignment.Target, index),
        IReturnOperation result => value.Type is { } type && IsReturnedToForeignCode(result, type, index),
        _ => false,
    };

    /// <summary>Whether an argument goes to a method of another assembly.</summary>
    public static bool IsCalledBy(IArgumentOperation argument, TargetIndex index) =>
        argument.Parameter is not null && Called(argument) is { } called && !WellKnownTypes.Same(called.ContainingAssembly, index.Compilation.Assembly);

    private static IMethodSymbol? Called(IArgumentOperation argument) => argument.Parent switch
    {
        IInvocationOperation invocation => invocation.TargetMethod,
        IObjectCreationOperation creation => creation.Constructor,
        _ => null,
    };

    /// <summary><c>block.Layers.Add(up)</c>, where the block is of another assembly.</summary>
    private static bool IsAddedToForeignList(IArgumentOperation argument, IMethodSymbol called, TargetIndex index) =>
        argument.Parent is IInvocationOperation { Instance: { } list } && called.Name is "Add" or "append" or "Insert" && IsForeignMember(list, index);

    private static bool IsForeignMember(IOperation place, TargetIndex index) => place switch
    {
        IConversionOperation conversion => IsForeignMember(conversion.Operand, index),
        IArrayElementReferenceOperation element => IsForeignMember(element.ArrayReference, index),
        IMemberReferenceOperation { Member: IFieldSymbol or IPropertySymbol, Type: { } type } member when CanRun(member.Member, type, index) => true,
        IPropertyReferenceOperation { Property.IsIndexer: true, Instance: { } list } => IsForeignMember(list, index),
        _ => false,
    };

    /// <summary>Whether the method around <paramref name="result"/> overrides or implements one that foreign code calls.</summary>
    private static bool IsReturnedToForeignCode(IReturnOperation result, ITypeSymbol type, TargetIndex index)
    {
        if (!index.CouldHoldTarget(type) && index.Types.ModuleElementType(type) is null) return false;
        for (var current = result.Parent; current is not null; current = current.Parent)
        {
            if (current is IAnonymousFunctionOperation or ILocalFunctionOperation) return false;
        }
        if (result.SemanticModel?.GetEnclosingSymbol(result.Syntax.SpanStart) is not IMethodSymbol method) return false;
        for (var root = method.OverriddenMethod; root is not null; root = root.OverriddenMethod)
        {
            if (CanRun(root, root.ReturnType, index)) return true;
        }
        return method.ContainingType.AllInterfaces.SelectMany(one => one.GetMembers()).OfType<IMethodSymbol>().Any(one =>
            CanRun(one, one.ReturnType, index) && WellKnownTypes.Same(method.ContainingType.FindImplementationForInterfaceMember(one), method));
    }

    /// <summary>
    /// Whether a foreign member that is given a value of a type can run a module through it. As object, or as a base class without forward, it cannot, short of casting.
    /// </summary>
    private static bool CanRun(ISymbol member, ITypeSymbol type, TargetIndex index) =>
        member.ContainingAssembly is { } assembly && !WellKnownTypes.Same(assembly, index.Compilation.Assembly) && !RunsByCall(assembly.Name) && CanRun(assembly, type, index);

    private static bool CanRun(IAssemblySymbol assembly, ITypeSymbol type, TargetIndex index, int depth = 0) => depth < 4 && type switch
    {
        IArrayTypeSymbol array => CanRun(assembly, array.ElementType, index, depth + 1),
        ITypeParameterSymbol parameter => parameter.ConstraintTypes.Any(constraint => CanRun(assembly, constraint, index, depth + 1)),
        _ when index.Types.IsModule(type) || index.Types.IsTensorModuleInterface(type) => !index.IsRewiredIn(assembly, type),
        _ when index.Types.ModuleElementType(type) is { } element => !index.IsRewiredIn(assembly, element),
        // Func<Linear>, Lazy<Linear>, (string, Linear).
        INamedTypeSymbol named => named.TypeArguments.Any(argument => CanRun(assembly, argument, index, depth + 1)),
        _ => false,
    };

    /// <summary>
    /// Assemblies that keep, register or inspect modules and run them by <c>call</c> alone, if at all: TorchSharp's own Sequential and the models of TorchVision do.
    /// </summary>
    private static bool RunsByCall(string assembly) =>
        assembly is WellKnownNames.TorchSharpAssembly or "TorchVision" or "TorchAudio" or WellKnownNames.RuntimeAssembly or "mscorlib" or "netstandard"
        || assembly.StartsWith("System.", StringComparison.Ordinal)
        || (assembly.StartsWith("Microsoft.", StringComparison.Ordinal) && !assembly.StartsWith("Microsoft.ML", StringComparison.Ordinal));
}
