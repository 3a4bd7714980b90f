using System.ComponentModel;

namespace Fossil.CompilerServices;

/// <summary>Calls of several projections of one module that read the same value, one behind the other with nothing between that could change it: the generator has proved that.</summary>
/// <param name="members">The projections' members, in the order of the calls: <c>q_proj</c>, <c>k_proj</c>, <c>v_proj</c>.</param>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed class ProjectionGroup(params string[] members)
{
    /// <summary>The members.</summary>
    public IReadOnlyList<string> Members { get; } = members;
}
