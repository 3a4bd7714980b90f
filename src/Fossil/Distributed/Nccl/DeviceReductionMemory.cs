using Fossil.Cuda;

namespace Fossil.Distributed.Nccl;

/// <summary>The memory of a CUDA device, whose gradients NCCL carries without the host. Everything is put on one stream beside libtorch's, so it runs while the backward pass goes on.</summary>
/// <param name="nccl">What carries it.</param>
/// <param name="watchdog">Looks after calls that may wait for other ranks: NCCL connects to them when it first sends.</param>
internal sealed class DeviceReductionMemory(NcclCollectives nccl, Watchdog watchdog) : IReductionMemory
{
    /// <inheritdoc/>
    public ICollectives Collectives => nccl;

    /// <inheritdoc/>
    public bool IsOrdered => true;

    /// <inheritdoc/>
    public nint Allocate(long bytes)
    {
        var memory = nccl.Device.Memory.Allocate(Math.Max(1, bytes));
        nccl.Stream.Clear(memory, bytes);
        return memory;
    }

    /// <inheritdoc/>
    public void Free(nint memory) => nccl.Device.Memory.Free(memory);

    /// <inheritdoc/>
    public void Begin() => nccl.Stream.FollowDefault();

    /// <inheritdoc/>
    public IPendingOperation End() => nccl.End();

    /// <inheritdoc/>
    public void Guard(Action action) => watchdog.Run(action, "the other ranks' devices");

    /// <inheritdoc/>
    public void Sum(nint rows, int length, bool isDouble, nint sum) => Launch(length, blocks => CudaRankLaunches.Sum(rows, length, nccl.Size, isDouble, sum, blocks));

    /// <inheritdoc/>
    public void Narrow(nint values, int count, nint lost, nint narrow) => Launch(count, blocks => CudaRankLaunches.Narrow(values, count, lost, narrow, blocks));

    /// <inheritdoc/>
    public void SumNarrow(nint rows, int length, nint lost, nint sum) => Launch(length, blocks => CudaRankLaunches.SumNarrow(rows, length, nccl.Size, lost, sum, blocks));

    /// <inheritdoc/>
    public void Widen(nint narrow, int count, nint values) => Launch(count, blocks => CudaRankLaunches.Widen(narrow, count, values, blocks));

    /// <inheritdoc/>
    public void GiveBack(nint lost, int count, nint values) => Launch(count, blocks => CudaRankLaunches.GiveBack(lost, count, values, blocks));

    private void Launch(int count, Func<int, CudaLaunch> launch)
    {
        if (count > 0) nccl.Device.Launch(CudaRankLaunches.Source, launch(CudaRankLaunches.Blocks(count, nccl.Device.Multiprocessors)), nccl.Stream);
    }
}
