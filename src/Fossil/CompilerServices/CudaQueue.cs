using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>Where a launch stub puts its launch: the default stream of a device, and the memory that the launch needs beside its operands.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public abstract class CudaQueue
{
    private protected CudaQueue()
    {
    }

    /// <summary>Multiprocessors of the device.</summary>
    public abstract int Multiprocessors { get; }

    /// <summary>The address of unwritten memory for <paramref name="floats"/> float32, until the stub returns; 0 for none.</summary>
    public abstract nint Scratch(long floats);

    /// <summary>The address of <paramref name="count"/> zeros of 32 bits, which the launch leaves as zeros; 0 for none.</summary>
    public abstract nint Counters(long count);

    /// <summary>Launches a kernel behind what was launched before.</summary>
    /// <param name="kernel">Its name in its source.</param>
    /// <param name="grid">Blocks.</param>
    /// <param name="block">Threads of a block.</param>
    /// <param name="arguments">The kernel's arguments, in its order.</param>
    /// <exception cref="CudaException">The driver refuses the launch.</exception>
    public void Launch(string kernel, (long X, long Y) grid, (int X, int Y) block, params CudaArgument[] arguments) =>
        Launch(new(kernel, ((uint)grid.X, (uint)grid.Y), ((uint)block.X, (uint)block.Y), arguments));

    private protected abstract void Launch(Cuda.CudaLaunch launch);
}
