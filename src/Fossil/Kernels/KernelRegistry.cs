using System.Collections.Concurrent;
using Fossil.CompilerServices;
using Fossil.Cuda;
using Fossil.Kernels.Cpu;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>
/// Which code computes an operation that has kernels: those that back ends registered for the operands' device, dtype and shard size, one after the other until one takes the operands;
/// libtorch's operations where none does. An operation is an interface (<c>Operations/</c>), a back end is who implements it for a device; no other place of the library asks for a device.
/// </summary>
internal static class KernelRegistry
{
    static KernelRegistry()
    {
        CpuKernels.Register();
        CudaKernels.Register(CudaRuntime.OfProcess);
        CudaKernels.RegisterDecoders(CudaRuntime.OfProcess);
        CudaKernels.RegisterEncoded(CudaRuntime.OfProcess);
    }

    /// <summary>Computes an operation; false where that is not handled, with nothing written.</summary>
    public delegate bool Launch<TKernel>(TKernel kernel, ReadOnlySpan<KernelMatrix> operands);

    /// <summary>
    /// Makes a kernel known. Of several for the same operands the one for fewer others is asked first, this library's own last among equals, and then goes the assembly's name: so the order of
    /// registration decides between kernels of one assembly only.
    /// </summary>
    /// <param name="kernel">An implementation of the operation.</param>
    /// <param name="device">Where the operands must lie; null for a kernel that looks itself.</param>
    /// <param name="elementType">The dtype of the first operand; null for any.</param>
    /// <param name="size">The shard size, or what the operation says of its size; null for any.</param>
    public static void Register<TKernel>(TKernel kernel, DeviceType? device, ScalarType? elementType = null, long? size = null) where TKernel : class
    {
        lock (Table<TKernel>.Lock) Table<TKernel>.Current = new([.. Table<TKernel>.Current.Entries, new(kernel, device, elementType, size)]);
    }

    /// <summary>Has a kernel compute an operation.</summary>
    /// <param name="size">The shard size, or what the operation says of its size.</param>
    /// <param name="operands">What the operation works on; the first decides the dtype.</param>
    /// <param name="launch">Calls the kernel with the operands' memory.</param>
    /// <returns>Whether one did; otherwise nothing was written.</returns>
    public static bool TryRun<TKernel>(long size, ReadOnlySpan<Tensor> operands, Launch<TKernel> launch) where TKernel : class
    {
        if (For<TKernel>(size, operands, out var place) is not { Length: > 0 } kernels) return false;
        var matrices = new KernelMatrix[operands.Length];
        for (var i = 0; i < matrices.Length; i++) matrices[i] = KernelMatrix.Of(operands[i]);
        var isDone = false;
        KernelMatrix.SetLaunch(place.IsHost ? matrices : null);
        try
        {
            foreach (var kernel in kernels)
            {
                isDone = launch(kernel, matrices);
                if (isDone) break;
            }
        }
        finally
        {
            KernelMatrix.SetLaunch(null);
        }

        // The kernels work on their memory, so they must not be collected before they are done.
        foreach (var operand in operands) GC.KeepAlive(operand);
        return isDone;
    }

    /// <summary>
    /// The kernel that computes an operation and its gradient for operands of one device and one dtype; null where that is not handled. It is chosen before the operation enters the graph.
    /// </summary>
    public static TKernel? Find<TKernel>(long size, params ReadOnlySpan<Tensor> operands) where TKernel : class, IDifferentiableKernel
    {
        foreach (var operand in operands)
        {
            if (operand.dtype != operands[0].dtype || operand.numel() == 0) return null;
        }
        var (elementType, place) = (operands[0].dtype, DevicePlace.Of(operands[0]));
        return Array.Find(For<TKernel>(size, operands), kernel => kernel.Takes(size, elementType, place));
    }

    /// <summary>The kernels to ask for <paramref name="operands"/>, in that order; none where these lie on several devices.</summary>
    public static TKernel[] For<TKernel>(long size, params ReadOnlySpan<Tensor> operands) where TKernel : class => For<TKernel>(size, operands, out _);

    private static TKernel[] For<TKernel>(long size, ReadOnlySpan<Tensor> operands, out DevicePlace place) where TKernel : class
    {
        place = DevicePlace.Of(operands[0]);
        foreach (var operand in operands[1..])
        {
            if (DevicePlace.Of(operand) != place) return [];
        }
        return Table<TKernel>.Current.For(place.Type, operands[0].dtype, size);
    }

    private sealed record Entry<TKernel>(TKernel Kernel, DeviceType? Device, ScalarType? ElementType, long? Size) where TKernel : class
    {
        public int Wildcards => (Device is null ? 1 : 0) + (ElementType is null ? 1 : 0) + (Size is null ? 1 : 0);

        /// <summary>The assembly's name; behind all others that of this library.</summary>
        public (bool IsOwn, string Name) Origin => (Kernel.GetType().Assembly == typeof(KernelRegistry).Assembly, Kernel.GetType().Assembly.FullName!);

        public bool Takes(DeviceType device, ScalarType elementType, long size) => (Device ?? device) == device && (ElementType ?? elementType) == elementType && (Size ?? size) == size;
    }

    /// <summary>The kernels of one operation, as they were registered at some time, and which of them there are for what was asked for since.</summary>
    private sealed class Table<TKernel>(Entry<TKernel>[] entries) where TKernel : class
    {
        public static readonly Lock Lock = new();

        public static volatile Table<TKernel> Current = new([]);

        private readonly ConcurrentDictionary<(DeviceType, ScalarType, long), TKernel[]> found = [];

        public Entry<TKernel>[] Entries => entries;

        public TKernel[] For(DeviceType device, ScalarType elementType, long size) => found.TryGetValue((device, elementType, size), out var kernels)
            ? kernels
            : found[(device, elementType, size)] = [.. entries.Where(entry => entry.Takes(device, elementType, size))
                .OrderBy(entry => entry.Wildcards).ThenBy(entry => entry.Origin.IsOwn).ThenBy(entry => entry.Origin.Name, StringComparer.Ordinal).Select(entry => entry.Kernel)];
    }
}
