using Fossil.CompilerServices;

namespace Fossil.Cuda.Tests;

/// <summary>Launches that are only written down, with addresses that stand for scratch.</summary>
internal sealed class RecordingQueue(int multiprocessors) : CudaQueue
{
    private readonly List<CudaLaunch> launches = [];

    public IReadOnlyList<CudaLaunch> Launches => launches;

    /// <summary>Floats and zeros that were asked for.</summary>
    public (long Floats, long Counters) Scratches { get; private set; }

    public override int Multiprocessors => multiprocessors;

    public override nint Scratch(long floats)
    {
        Scratches = (Scratches.Floats + floats, Scratches.Counters);
        return floats == 0 ? 0 : 5 << 20;
    }

    public override nint Counters(long count)
    {
        Scratches = (Scratches.Floats, Scratches.Counters + count);
        return count == 0 ? 0 : 6 << 20;
    }

    private protected override void Launch(CudaLaunch launch) => launches.Add(launch);
}
