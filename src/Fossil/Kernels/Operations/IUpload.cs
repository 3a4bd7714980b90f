using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Brings what a reader writes into a device's memory, without a tensor of it on the host.</summary>
internal interface IUpload
{
    /// <summary>The most bytes of one destination.</summary>
    const int MostBytes = 1 << 24;

    /// <param name="destination">(1, n) without gaps, of any dtype; written behind what was launched before, and before what will be.</param>
    /// <param name="read">Writes the destination's bytes to the address that it is given, before it returns.</param>
    bool TryWrite(in KernelMatrix destination, Action<nint> read);
}
