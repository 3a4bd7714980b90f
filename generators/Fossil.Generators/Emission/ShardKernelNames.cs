using Fossil.CodeModel;

namespace Fossil.Generators.Emission;

/// <summary>Which kernels are generated, and what they are called.</summary>
internal static class ShardKernelNames
{
    /// <summary>The shard sizes that a class needs kernels for.</summary>
    public static IEnumerable<int> Sizes(AdaptedClass model) => model.Targets.Where(target => HasKernels(target.Settings)).Select(target => target.Settings.ShardSize).Distinct();

    /// <summary>No input is as wide; a larger number is a slip of the keyboard, for which libtorch's operations will do.</summary>
    private const int LargestShardSize = 1 << 16;

    /// <summary>Whether kernels are generated for the settings: Bat works on the weight and has no shard sum.</summary>
    public static bool HasKernels(AdapterSettings settings) => settings is { ShardSize: > 0 and <= LargestShardSize, Variant: not AdapterVariant.Bat };

    public static string Class(int shardSize) => $"ShardKernels{shardSize}";

    public static string DeclarationFile(int shardSize) => $"{Class(shardSize)}.g.cs";

    public static string CodeFile(int shardSize) => $"{Class(shardSize)}.Code.g.cs";

    /// <summary>The expression that gives the kernels to the run time.</summary>
    public static string Instance(AdapterSettings settings) =>
        HasKernels(settings) ? $"global::{WellKnownNames.GeneratedNamespace}.{Class(settings.ShardSize)}.Instance" : "null";
}
