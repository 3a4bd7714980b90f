namespace Fossil.Generators;

/// <summary>Names of the pipeline steps, by which tests see what an edit re-runs.</summary>
public static class TrackingNames
{
    /// <summary>Language version and interceptors' namespace.</summary>
    public const string Options = nameof(Options);

    /// <summary>One model per annotated class.</summary>
    public const string AdaptedClasses = nameof(AdaptedClasses);

    /// <summary>Classes whose names differ only in case.</summary>
    public const string SameNames = nameof(SameNames);

    /// <summary>The shard sizes that the assembly names.</summary>
    public const string NamedShardSizes = nameof(NamedShardSizes);

    /// <summary>The distinct shard sizes of all classes and of the assembly.</summary>
    public const string ShardSizes = nameof(ShardSizes);

    /// <summary>The calls to rewire, one model per source file that has any.</summary>
    public const string CallSites = nameof(CallSites);
}
