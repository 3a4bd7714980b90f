using Fossil.CompilerServices;
using Fossil.Cuda;
using Fossil.Cuda.Native;

namespace Fossil.CudaCheck;

/// <summary>Where a case's launches go, for both kinds of stubs.</summary>
internal abstract class Launcher : CudaQueue
{
    /// <summary>Launches what a stub has made.</summary>
    public void Run(CudaLaunch launch) => Launch(launch);

    /// <summary>A product by cuBLAS.</summary>
    public abstract void Multiply(CublasMatrix left, CublasMatrix right, CublasMatrix result, (int Rows, int Columns, int Inner) size, float beta);
}

/// <summary>Launches on a device. Scratch is that of one launch: those on a stream follow each other.</summary>
internal sealed class DeviceLauncher(CudaDevice device, Cublas? cublas, string source) : Launcher, IDisposable
{
    private readonly Dictionary<long, nint> scratch = [];
    private nint counters;

    public override int Multiprocessors => device.Multiprocessors;

    public override nint Scratch(long floats)
    {
        if (floats == 0) return 0;
        if (!scratch.TryGetValue(floats, out var address)) scratch[floats] = address = device.Memory.Allocate(floats * sizeof(float));
        return address;
    }

    public override nint Counters(long count)
    {
        const int Most = 1 << 16;
        if (count == 0) return 0;
        if (count > Most) throw new InvalidOperationException($"{count} counters are more than the {Most} that there are.");
        if (counters == 0)
        {
            counters = device.Memory.Allocate(Most * sizeof(int));
            DeviceBuffer.Write(device, counters, new byte[Most * sizeof(int)]);
        }
        return counters;
    }

    public override void Multiply(CublasMatrix left, CublasMatrix right, CublasMatrix result, (int Rows, int Columns, int Inner) size, float beta) =>
        device.Multiply(cublas ?? throw new InvalidOperationException("There is no cuBLAS."), left, right, result, size, beta, "a product");

    public void Dispose()
    {
        foreach (var address in scratch.Values) device.Memory.Free(address);
        if (counters != 0) device.Memory.Free(counters);
    }

    private protected override void Launch(CudaLaunch launch) => device.Launch(source, launch);
}

/// <summary>Writes down the launches of a case for a program that makes them itself.</summary>
internal sealed class RecordingLauncher(int multiprocessors) : Launcher
{
    /// <summary>Where the operand, or the scratch, of a number lies: an address tells them apart.</summary>
    public const int OperandBits = 44;

    public List<CudaLaunch> Launches { get; } = [];

    /// <summary>Bytes of the scratch that launches need, zeroed, behind the operands.</summary>
    public List<long> ScratchBytes { get; } = [];

    public int OperandCount { get; init; }

    public override int Multiprocessors => multiprocessors;

    public override nint Scratch(long floats) => Take(floats * sizeof(float));

    public override nint Counters(long count) => Take(count * sizeof(int));

    public override void Multiply(CublasMatrix left, CublasMatrix right, CublasMatrix result, (int Rows, int Columns, int Inner) size, float beta) => throw new NotSupportedException("Products are not written down.");

    private protected override void Launch(CudaLaunch launch) => Launches.Add(launch);

    private nint Take(long bytes)
    {
        if (bytes == 0) return 0;
        ScratchBytes.Add(bytes);
        return (nint)(OperandCount + ScratchBytes.Count) << OperandBits;
    }
}
