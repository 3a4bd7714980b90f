using System.Runtime.InteropServices;
using System.Text;
using Fossil.Cuda;
using Fossil.Cuda.Native;
using Fossil.Distributed.Nccl;
using Fossil.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Distributed;

/// <summary>The memories that the processes sum gradients in: the host's, and that of each device which gradients lie on. All processes ask for the same ones in one order.</summary>
/// <param name="group">The processes.</param>
/// <param name="host">The host's; null where only devices are joined.</param>
internal sealed class ReductionMemories(ProcessGroup group, HostReductionMemory? host) : IDisposable
{
    private readonly Dictionary<DevicePlace, DeviceReductionMemory?> devices = [];
    private readonly List<NcclCollectives> joined = [];

    /// <summary>What NCCL works on; tests have it work on the memory of the CPU.</summary>
    public static DeviceType NcclDevices { get; set; } = DeviceType.CUDA;

    /// <summary>The memory that a device's gradients are summed in where they lie; null where they have to go elsewhere.</summary>
    public IReductionMemory? Of(DevicePlace place)
    {
        if (place.Type != NcclDevices) return place.IsHost ? host : null;
        if (devices.TryGetValue(place, out var known)) return known;
        return devices[place] = Open(place);
    }

    /// <summary>Where gradients of a device are summed if not where they lie.</summary>
    public (IReductionMemory Memory, Device Device) Beside(DevicePlace place)
    {
        if (Of(place) is { } own) return (own, DeviceOf(place));
        return host is not null ? (host, CPU) : devices.Where(device => device.Value is not null).Select(device => ((IReductionMemory)device.Value!, DeviceOf(device.Key))).First();
    }

    /// <summary>Takes a device on which the processes are joined already.</summary>
    public void Add(NcclCollectives nccl, int ordinal)
    {
        joined.Add(nccl);
        devices[new(NcclDevices, NcclDevices == DeviceType.CPU ? -1 : ordinal)] = new(nccl, group.Watchdog);
    }

    /// <summary>Gives up what is under way on devices.</summary>
    public void Abort() => joined.ForEach(nccl => nccl.Abort());

    /// <inheritdoc/>
    public void Dispose() => joined.ForEach(nccl => nccl.Dispose());

    private static Device DeviceOf(DevicePlace place) => new(place.Type, place.Index);

    /// <summary>Joins the processes on a device; null on all where one cannot.</summary>
    private DeviceReductionMemory? Open(DevicePlace place)
    {
        var isOff = Environment.GetEnvironmentVariable(CudaLibrary.Nccl.Variable) == Launch.Off;
        var (found, failure) = isOff ? (null, "") : Find(Math.Max(0, place.Index));
        var failures = group.AllGather(Encoding.UTF8.GetBytes(found is null ? $"-{failure}" : ""));
        if (Array.FindIndex(failures, said => said.Length > 0) is >= 0 and var rank)
        {
            if (group.IsMain && failures[rank].Length > 1) FossilWarnings.Report($"Gradients of CUDA devices travel through the host's memory, which is slower: rank {rank}: {Encoding.UTF8.GetString(failures[rank].AsSpan(1))} {CudaLibrary.Nccl.Variable}={Launch.Off} in the environment says that this is meant.");
            return null;
        }

        var (nccl, device) = found!.Value;
        RankComparison.RequireSame(group, [("the version of NCCL", $"{nccl.Version}")], "Install one version on all machines.");
        var id = MemoryMarshal.Read<NcclUniqueId>(group.Broadcast(group.Together(() => group.IsMain ? MemoryMarshal.AsBytes<NcclUniqueId>([nccl.NewId()]).ToArray() : [])));
        NcclCollectives? made = null;
        group.Watchdog.Run(() => made = group.Together(() => new NcclCollectives(nccl, device, id, group.Rank, group.Size)), "the other ranks' devices");
        joined.Add(made!);
        return new(made!, group.Watchdog);
    }

    /// <summary>What a device needs.</summary>
    internal static ((NcclLibrary Nccl, CudaDevice Device)? Found, string Failure) Find(int ordinal)
    {
        try
        {
            NcclLibrary nccl = new(CudaLibrary.Nccl.Load());
            return CudaRuntime.OfProcess.Device(ordinal) is { } device && device.Prepare(CudaRankLaunches.Source, "the kernels that sum gradients over ranks")
                ? ((nccl, device), "")
                : (null, $"No kernels run on CUDA device {ordinal}, as another message there says.");
        }
        catch (Exception exception) when (exception is CudaException or DistributedException)
        {
            return (null, exception.Message);
        }
    }
}
