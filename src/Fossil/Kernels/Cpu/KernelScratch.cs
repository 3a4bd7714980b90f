using System.Runtime.InteropServices;

namespace Fossil.Kernels.Cpu;

/// <summary>
/// Memory for what a kernel works on at the moment, aligned to a cache line, with any values; whoever takes it disposes it. A little of it stays with its thread, for
/// kernels run many times a second; more than that (attention over thousands of tokens) is given back at once.
/// </summary>
internal readonly unsafe ref struct KernelScratch
{
    /// <summary>Floats that a thread keeps at most: 4 MB.</summary>
    public const long KeptCount = 1 << 20;

    private const nuint Alignment = 64;

    [ThreadStatic]
    private static Memory? kept;

    private readonly Memory memory;

    private KernelScratch(Memory memory) => this.memory = memory;

    /// <summary>Floats that this thread keeps and are not in use.</summary>
    public static long CountOfThread => kept?.Count ?? 0;

    /// <summary>The first element.</summary>
    public float* Floats => memory.Address;

    /// <summary>At least <paramref name="count"/> floats.</summary>
    /// <exception cref="OutOfMemoryException">There is no such memory; nothing is held then.</exception>
    public static KernelScratch Take(long count)
    {
        // Not the thread's any more while it is in use: a kernel that runs within another takes memory of its own.
        var memory = kept;
        kept = null;
        if (memory?.Count >= count) return new(memory);
        memory?.Free();
        return new(new Memory(count));
    }

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        if (memory.Count <= KeptCount && kept is null) kept = memory;
        else memory.Free();
    }

    /// <summary>An allocation. That of a thread that has ended is freed with this object.</summary>
    private sealed class Memory(long count)
    {
        private readonly float* address = (float*)NativeMemory.AlignedAlloc(checked((nuint)count * sizeof(float)), Alignment);

        ~Memory() => NativeMemory.AlignedFree(address);

        public float* Address => address;

        public long Count => count;

        public void Free()
        {
            NativeMemory.AlignedFree(address);
            GC.SuppressFinalize(this);
        }
    }
}
