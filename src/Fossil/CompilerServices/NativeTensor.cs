using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>The one native function that kernels need and TorchSharp keeps to itself.</summary>
internal static partial class NativeTensor
{
    /// <summary>TorchSharp's native library, which depends on libtorch's.</summary>
    public const string Library = "LibTorchSharp";

    /// <summary>The address of the first element of <paramref name="tensor"/>. TorchSharp's own <c>bytes</c> stops at 2 GB.</summary>
    public static nint Data(Tensor tensor)
    {
        var address = THSTensor_data(tensor.Handle);
        GC.KeepAlive(tensor);
        return address;
    }

    [LibraryImport(Library)]
    private static partial nint THSTensor_data(nint tensor);
}
