namespace Fossil;

/// <summary>
/// Names shard sizes that the generator emits kernels for, besides those of the <see cref="FossilAdaptAttribute"/>s in the project:
/// <c>[assembly: FossilShardSizes(16, 24)]</c>. Name here what a configuration chooses at run time.
/// </summary>
/// <remarks>
/// Kernels depend on the shard size alone. Once code of the assembly has run, its kernels serve every model in the process, those of other assemblies
/// too. A shard size without kernels gives the same results through libtorch's operations, more slowly, and <see cref="FossilWarnings"/> says so.
/// </remarks>
/// <param name="sizes">The shard sizes r, each at least 1.</param>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
public sealed class FossilShardSizesAttribute(params int[] sizes) : Attribute
{
    /// <summary>The shard sizes r.</summary>
    public IReadOnlyList<int> Sizes { get; } = sizes;
}
