using System.ComponentModel;
using static TorchSharp.torch;

namespace Fossil.CompilerServices;

/// <summary>Receives the targets of an annotated module from its generated part.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed class AdapterTargetCollector
{
    private readonly List<AdapterTarget> targets = [];

    /// <summary>The targets added so far.</summary>
    public IReadOnlyList<AdapterTarget> Targets => targets;

    /// <summary>Adds the projection that <paramref name="member"/> holds.</summary>
    public void Add(string member, nn.Module<Tensor, Tensor>? module, AdapterDefaults defaults) =>
        targets.Add(new AdapterTarget(member, module, defaults));

    /// <summary>Adds each projection of the array or module list that <paramref name="member"/> holds.</summary>
    public void AddRange(string member, IEnumerable<nn.Module<Tensor, Tensor>?>? modules, AdapterDefaults defaults)
    {
        if (modules is null) return;
        var index = 0;
        foreach (var module in modules) Add($"{member}.{index++}", module, defaults);
    }
}
