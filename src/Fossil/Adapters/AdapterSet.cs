namespace Fossil.Adapters;

/// <summary>The adapters of a model and their states: which act, which are merged, whether all are switched off, or each row of a batch has its own.</summary>
internal sealed class AdapterSet
{
    private readonly List<string> merged = [];

    /// <summary>All of them, in the order in which they were added. Replaced, not changed: another thread may be reading it.</summary>
    public IReadOnlyList<AttachedAdapter> All { get; private set; } = [];

    /// <summary>The names of those that act, in order. Replaced, as <see cref="All"/> is.</summary>
    public IReadOnlyList<string> Active { get; set; } = [];

    /// <summary>The names of those that are merged into the base, in the order in which they were.</summary>
    public IReadOnlyList<string> Merged => merged;

    /// <summary>How many <c>DisableAdapters</c> are open.</summary>
    public int Disabled { get; set; }

    /// <summary>The adapter of each row, null for the base alone; null where all rows use the active ones.</summary>
    public IReadOnlyList<string?>? Rows { get; set; }

    /// <summary>Whether the active ones act: they are not switched off, and no row has its own.</summary>
    public bool ActiveOnesAct => Disabled == 0 && Rows is null;

    /// <summary>The layers of all adapters.</summary>
    public IEnumerable<AdapterLayer> Layers => All.SelectMany(adapter => adapter.Layers);

    /// <summary>Adds an adapter; it is not active.</summary>
    public void Add(AttachedAdapter adapter) => All = [.. All, adapter];

    /// <summary>Forgets an adapter.</summary>
    public void Remove(AttachedAdapter adapter)
    {
        All = [.. All.Where(other => other != adapter)];
        Active = [.. Active.Where(name => name != adapter.Name)];
    }

    /// <summary>The named adapter.</summary>
    /// <exception cref="AdapterNameException">There is none.</exception>
    public AttachedAdapter Find(string adapterName) => All.FirstOrDefault(adapter => adapter.Name == adapterName)
        ?? throw new AdapterNameException($"There is no adapter '{adapterName}'. There are: {string.Join(", ", All.Select(adapter => adapter.Name))}.");

    /// <summary>Whether an adapter is merged into the base.</summary>
    public bool IsMerged(string adapterName) => merged.Contains(adapterName);

    /// <summary>Notes that adapters are merged.</summary>
    public void AddMerged(IEnumerable<string> adapterNames) => merged.AddRange(adapterNames);

    /// <summary>Notes that none is merged any more.</summary>
    public void ClearMerged() => merged.Clear();

    /// <summary>Whether an adapter's parameters change in training.</summary>
    public bool IsTrained(AttachedAdapter adapter) => Active.Contains(adapter.Name) && !adapter.IsFrozen && !IsMerged(adapter.Name);

    /// <summary>What a target computes now.</summary>
    public ForwardPlan PlanFor(AdaptedTarget target)
    {
        if (Disabled > 0) return ForwardPlan.Base;
        if (Rows is { } rows) return ForwardPlan.ForRows([.. rows.Select(name => name is null ? null : target.FindLayer(name))]);
        return ForwardPlan.ForLayers([.. Active.Where(name => !IsMerged(name)).Select(target.FindLayer).OfType<AdapterLayer>()]);
    }

    /// <summary>Refuses an operation while adapters are merged.</summary>
    /// <exception cref="AdapterStateException">Some are.</exception>
    public void CheckNothingMerged(string operation)
    {
        if (merged.Count > 0) throw new AdapterStateException($"Cannot {operation} while {MergedText} merged into the base. Call Unmerge() first.");
    }

    /// <summary>The merged adapters' names with their verb: <c>poems is</c>.</summary>
    public string MergedText => $"{string.Join(", ", merged)} {(merged.Count == 1 ? "is" : "are")}";
}
