using Fossil.CompilerServices;

namespace Fossil.Kernels.Cpu;

/// <summary>The kernels that assemblies brought for their shard sizes (<see cref="ShardKernelRegistry"/>), as kernels of the two operations.</summary>
internal sealed class GeneratedKernels : IShardSum, ITiledAdd
{
    public bool TryShardSum(in KernelMatrix input, in KernelMatrix sum)
    {
        foreach (var kernels in ShardKernelRegistry.All((int)sum.Columns))
        {
            if (kernels.TryShardSum(input.Tensor, sum.Tensor)) return true;
        }
        return false;
    }

    public bool TryAddTiled(in KernelMatrix shardGradient, in KernelMatrix inputGradient)
    {
        foreach (var kernels in ShardKernelRegistry.All((int)shardGradient.Columns))
        {
            if (kernels.TryAddTiled(shardGradient.Tensor, inputGradient.Tensor)) return true;
        }
        return false;
    }
}
