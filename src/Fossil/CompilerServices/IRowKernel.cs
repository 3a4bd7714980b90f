using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>Work on rows that do not depend on each other. Implemented by generated structures, so that a launch allocates nothing for them.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public interface IRowKernel
{
    /// <summary>
    /// Works on the rows from <paramref name="first"/> to before <paramref name="end"/>; called from several threads at once. A row comes out the same whichever
    /// rows it is worked on with. What it throws ends the launch and reaches whoever launched it.
    /// </summary>
    void Run(long first, long end);

    /// <summary>
    /// Declares the memory that <see cref="Run"/> writes for one row. No other row of the launch may write, or read, any of it. Called in checked processes only
    /// (<see cref="KernelRows"/>).
    /// </summary>
    /// <exception cref="NotSupportedException">The kernel declares nothing: it was generated before kernels did.</exception>
    void DeclareWrites(long row, KernelWrites writes) => throw new NotSupportedException($"The kernel {GetType()} does not declare the memory that a row of it writes.");
}
