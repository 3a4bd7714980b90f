using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>What the generator adds to a class marked with <see cref="FossilAdaptAttribute"/>: it tells the run time the targets, without reflection.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public interface IFossilAdaptable
{
    /// <summary>Adds each adaptable target of this module to <paramref name="targets"/>.</summary>
    void CollectAdapterTargets(AdapterTargetCollector targets);
}
