using Fossil.CodeModel;

namespace Fossil.Generators.Emission;

/// <summary>Which kernels are generated, and what they are called.</summary>
internal static class ShardKernelNames
{
    /// <summary>The shard sizes that a class needs kernels for: Bat works on the weight and has no shard sum.</summary>
    public static IEnumerable<int> Sizes(AdaptedClass model) => model.Targets
        .Where(target => target.Settings.Variant != FossilVariant.Bat && NamedShardSizes.CanHaveKernels(target.Settings.ShardSize))
        .Select(target => target.Settings.ShardSize)
        .Distinct();

    public static string Class(int shardSize) => $"ShardKernels{shardSize}";

    public static string File(int shardSize) => $"{Class(shardSize)}.g.cs";

    public static string CudaClass(int shardSize) => $"CudaShardKernels{shardSize}";
}
