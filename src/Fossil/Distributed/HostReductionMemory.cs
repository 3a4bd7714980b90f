using System.Runtime.InteropServices;

namespace Fossil.Distributed;

/// <summary>The host's memory: <see cref="RankSum"/> makes the sums.</summary>
/// <param name="collectives">What carries it.</param>
internal sealed unsafe class HostReductionMemory(ICollectives collectives) : IReductionMemory
{
    private const int Alignment = 64;

    /// <inheritdoc/>
    public ICollectives Collectives => collectives;

    /// <inheritdoc/>
    public bool IsOrdered => false;

    /// <inheritdoc/>
    public nint Allocate(long bytes)
    {
        var memory = NativeMemory.AlignedAlloc((nuint)Math.Max(1, bytes), Alignment);
        NativeMemory.Clear(memory, (nuint)bytes);
        return (nint)memory;
    }

    /// <inheritdoc/>
    public void Free(nint memory) => NativeMemory.AlignedFree((void*)memory);

    /// <inheritdoc/>
    public void Begin()
    {
    }

    /// <inheritdoc/>
    public IPendingOperation End() => CompletedOperation.Instance;

    /// <inheritdoc/>
    public void Guard(Action action) => action();

    /// <inheritdoc/>
    public void Sum(nint rows, int length, bool isDouble, nint sum)
    {
        if (isDouble) RankSum.Sum((double*)rows, length, collectives.Size, (double*)sum);
        else RankSum.Sum((float*)rows, length, collectives.Size, (float*)sum);
    }

    /// <inheritdoc/>
    public void Narrow(nint values, int count, nint lost, nint narrow) => RankSum.Narrow(new((float*)values, count), new((float*)lost, count), new((ushort*)narrow, count));

    /// <inheritdoc/>
    public void SumNarrow(nint rows, int length, nint lost, nint sum) =>
        RankSum.Sum(new((ushort*)rows, length * collectives.Size), collectives.Size, new((float*)lost, length), new((ushort*)sum, length));

    /// <inheritdoc/>
    public void Widen(nint narrow, int count, nint values) => RankSum.Widen(new((ushort*)narrow, count), new((float*)values, count));

    /// <inheritdoc/>
    public void GiveBack(nint lost, int count, nint values) => RankSum.GiveBack(new((float*)lost, count), new((float*)values, count));
}
