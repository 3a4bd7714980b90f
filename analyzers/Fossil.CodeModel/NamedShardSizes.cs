using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel;

/// <summary>The shard sizes that <c>[assembly: FossilShardSizes]</c> names: one reading for generator and analyzers.</summary>
public static class NamedShardSizes
{
    /// <summary>No input is as wide; a larger number is a slip of the keyboard, for which libtorch's operations will do.</summary>
    public const int Largest = 1 << 16;

    /// <summary>How many of an assembly's sizes get kernels. Each makes the assembly larger, and no more are told apart by any fine-tuning.</summary>
    public const int Most = 128;

    /// <summary>The attributes of <paramref name="assembly"/>, in the order of its files.</summary>
    public static IEnumerable<AttributeData> Attributes(IAssemblySymbol assembly, WellKnownTypes types) =>
        assembly.GetAttributes().Where(attribute => WellKnownTypes.Same(attribute.AttributeClass, types.ShardSizesAttribute));

    /// <summary>The arguments of one attribute that are numbers, with the position of each.</summary>
    public static IEnumerable<(int Size, int Position)> Arguments(AttributeData attribute)
    {
        // An argument that is no array at all is the compiler's to report.
        if (attribute.ConstructorArguments is not [{ Kind: TypedConstantKind.Array, IsNull: false } sizes]) yield break;
        for (var position = 0; position < sizes.Values.Length; position++)
        {
            if (sizes.Values[position] is { Kind: TypedConstantKind.Primitive, Value: int size }) yield return (size, position);
        }
    }

    /// <summary>The sizes that get kernels: each once, in order.</summary>
    public static IEnumerable<int> Of(IAssemblySymbol assembly, WellKnownTypes types) =>
        Attributes(assembly, types).SelectMany(Arguments).Select(argument => argument.Size).Where(CanHaveKernels).Distinct().Take(Most);

    /// <summary>Whether kernels can be generated for a shard size.</summary>
    public static bool CanHaveKernels(int size) => size is > 0 and <= Largest;
}
