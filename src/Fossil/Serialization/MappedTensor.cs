using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Fossil.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Serialization;

/// <summary>Bytes of a mapped file as a tensor: no copy, and the pages are shared with every process that maps the file. Where something is written to it (load_state_dict, for one), that page becomes the process's own.</summary>
internal static unsafe partial class MappedTensor
{
    // What the memory of a tensor belongs to, by its address, until libtorch lets go of the last view of it.
    private static readonly ConcurrentDictionary<nint, MappedFile.View> Views = [];

    /// <summary>A tensor over a view, which it disposes with its own memory.</summary>
    /// <param name="view">The mapped bytes, copied on writing.</param>
    /// <param name="dtype">A dtype of one byte.</param>
    /// <param name="shape">Its shape, of as many elements as there are bytes.</param>
    public static Tensor Of(MappedFile.View view, ScalarType dtype, params long[] shape)
    {
        var address = (nint)view.Start;
        Views[address] = view;
        nint handle;
        fixed (long* sizes = shape)
        {
            handle = THSTensor_new(address, &Release, sizes, shape.Length, (sbyte)dtype, (sbyte)dtype, (int)DeviceType.CPU, -1, requires_grad: false);
        }

        if (handle == 0)
        {
            Views.TryRemove(address, out _);
            view.Dispose();
            CheckForErrors();
        }

        return Tensor.UnsafeCreateTensor(handle);
    }

    // On whichever thread of libtorch or of the finalizer drops the last reference.
    [UnmanagedCallersOnly]
    private static void Release(nint address)
    {
        if (Views.TryRemove(address, out var view)) view.Dispose();
    }

    [LibraryImport(NativeTensor.Library)]
    private static partial nint THSTensor_new(nint data, delegate* unmanaged<nint, void> deleter, long* sizes, int dimensions, sbyte type, sbyte dtype, int deviceType, int deviceIndex, [MarshalAs(UnmanagedType.U1)] bool requires_grad);
}
