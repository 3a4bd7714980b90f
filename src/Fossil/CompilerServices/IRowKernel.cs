using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>Work on rows that do not depend on each other. Implemented by generated structures, so that a launch allocates nothing for them.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public interface IRowKernel
{
    /// <summary>Works on the rows from <paramref name="first"/> to before <paramref name="end"/>; called from several threads at once. Must not throw.</summary>
    void Run(long first, long end);
}
