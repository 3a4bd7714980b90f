using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>The types that training code is made of, in one compilation.</summary>
internal sealed class TrainingTypes
{
    private readonly WellKnownTypes types;
    private readonly INamedTypeSymbol adapted;
    private readonly INamedTypeSymbol optimizer;

    private TrainingTypes(WellKnownTypes types, INamedTypeSymbol adapted, INamedTypeSymbol optimizer)
    {
        this.types = types;
        this.adapted = adapted;
        this.optimizer = optimizer;
    }

    /// <summary>The types, or null where a compilation has not all of them.</summary>
    public static TrainingTypes? From(Compilation compilation, WellKnownTypes known) =>
        compilation.GetTypeByMetadataName("Fossil.AdaptedModel") is { } adapted
        && compilation.GetTypeByMetadataName("TorchSharp.torch+optim+Optimizer") is { } optimizer
            ? new TrainingTypes(known, adapted, optimizer)
            : null;

    /// <summary>Whether a method of a module moves it to another device or type; it gives the module itself.</summary>
    public static bool IsMove(IMethodSymbol method) => method.Name is "to" or "cuda" or "cpu" or "half" or "bfloat16" or "float" or "double";

    /// <summary>What a method is called on, that of an extension method included.</summary>
    public static IOperation? ReceiverOf(IInvocationOperation invocation) =>
        invocation.Instance ?? (invocation.TargetMethod.IsExtensionMethod ? invocation.Arguments.FirstOrDefault()?.Value : null);

    public bool IsModule(ITypeSymbol? type) => types.IsModule(type);

    public bool IsTensor(ITypeSymbol? type) => types.IsTensor(type);

    public bool IsAdapted(ITypeSymbol? type) => WellKnownTypes.Same(type, adapted);

    /// <summary>Whether a value of <paramref name="type"/> is a TorchSharp optimizer.</summary>
    public bool IsOptimizer(ITypeSymbol? type) => WellKnownTypes.DerivesFrom(type, optimizer);
}
