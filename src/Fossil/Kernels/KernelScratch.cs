using System.Runtime.InteropServices;

namespace Fossil.Kernels;

/// <summary>Memory of a thread for what a kernel works on at the moment. It is kept from call to call: kernels run many times a second.</summary>
internal static unsafe class KernelScratch
{
    private const nuint Alignment = 64;

    [ThreadStatic]
    private static float* memory;

    [ThreadStatic]
    private static long capacity;

    /// <summary>At least <paramref name="count"/> floats, aligned to a cache line, with any values; valid until the next call on this thread.</summary>
    public static float* Take(long count)
    {
        if (count <= capacity) return memory;
        NativeMemory.AlignedFree(memory);
        capacity = 0;
        memory = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), Alignment);
        capacity = count;
        return memory;
    }
}
