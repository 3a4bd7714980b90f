using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using Fossil.Cuda;

namespace Fossil.CudaCheck;

/// <summary>A case's operands on a device, as often as fill <c>bytes</c>: launches in turn on each copy find nothing of it in a cache.</summary>
internal sealed class DeviceBuffer : IDisposable
{
    private const long Alignment = 512;

    private readonly CudaDevice device;
    private readonly nint start;
    private readonly long copyBytes;
    private readonly Dictionary<Operand, long> offsets = [];

    public DeviceBuffer(CudaDevice device, Operand[] operands, long bytes)
    {
        this.device = device;
        foreach (var operand in operands)
        {
            offsets[operand] = copyBytes;
            copyBytes += (operand.Bytes + Alignment - 1) / Alignment * Alignment;
        }

        Copies = (int)Math.Clamp((bytes + copyBytes - 1) / copyBytes, 2, 1 << 16);
        start = device.Memory.Allocate(copyBytes * Copies);
        foreach (var operand in operands) Write(device, start + (nint)offsets[operand], operand.Encode());
        for (var filled = 1; filled < Copies;)
        {
            var more = Math.Min(filled, Copies - filled);
            device.Memory.CopyOnDevice(start + (nint)(filled * copyBytes), start, more * copyBytes);
            filled += more;
        }
    }

    public int Copies { get; }

    public static void Write(CudaDevice device, nint destination, byte[] bytes)
    {
        var pinned = GCHandle.Alloc(bytes, GCHandleType.Pinned);
        device.Memory.CopyToDevice(destination, pinned.AddrOfPinnedObject(), bytes.Length);
        var copied = device.Memory.CreateEvent();
        device.Memory.Record(copied);
        device.Memory.Wait(copied);
        pinned.Free();
    }

    /// <summary>An operand of a copy.</summary>
    public CudaMatrix Matrix(Operand operand, int copy) => new(start + (nint)((copy * copyBytes) + offsets[operand]), operand.Rows, operand.Columns, operand.Columns, operand.ElementSize);

    /// <summary>What an operand of the first copy holds now.</summary>
    public double[] Read(Operand operand)
    {
        var bytes = new byte[operand.Bytes];
        var pinned = GCHandle.Alloc(bytes, GCHandleType.Pinned);
        device.Memory.CopyToHost(pinned.AddrOfPinnedObject(), Matrix(operand, 0).Address, bytes.Length);
        pinned.Free();
        return operand.Decode(bytes);
    }

    public void Dispose() => device.Memory.Free(start);
}
