using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Declarations;

/// <summary>
/// What is known of each project from its version before. A process compiles many, an editor several at each keystroke, and one must not take the place of another:
/// those that were asked for last are kept.
/// </summary>
internal sealed class KnownProjects
{
    /// <summary>More projects than somebody edits at once.</summary>
    private const int Most = 16;

    private readonly object gate = new();
    private readonly List<KnownProject> projects = [];

    /// <summary>What is known of the project of <paramref name="compilation"/>.</summary>
    public KnownProject Of(Compilation compilation)
    {
        var key = Key(compilation);
        lock (gate)
        {
            var at = projects.FindIndex(project => project.Key == key);
            var found = at < 0 ? new KnownProject(key) : projects[at];
            if (at >= 0) projects.RemoveAt(at);
            else if (projects.Count == Most) projects.RemoveAt(0);
            projects.Add(found);
            return found;
        }
    }

    /// <summary>The same for each version of a project; builds of it for several frameworks differ in their symbols.</summary>
    private static ulong Key(Compilation compilation)
    {
        var symbols = compilation.SyntaxTrees.FirstOrDefault()?.Options.PreprocessorSymbolNames ?? [];
        return symbols.Aggregate(Fingerprint.Of(compilation.AssemblyName ?? ""), Fingerprint.Then);
    }
}

/// <summary>What is known of one project.</summary>
/// <param name="key">By what it is told from others.</param>
internal sealed class KnownProject(ulong key)
{
    private volatile ReadProject? last;

    /// <summary>By what it is told from others.</summary>
    public ulong Key { get; } = key;

    /// <summary>The graph of its names.</summary>
    public NameGraphs Graphs { get; } = new();

    /// <summary>What was read last; null before the first time.</summary>
    public ReadProject? Last
    {
        get => last;
        set => last = value;
    }
}

/// <summary>What was read in one version of a project.</summary>
/// <param name="hash">The version, by its declarations.</param>
/// <param name="classes">The annotated classes.</param>
/// <param name="targets">Their targets.</param>
/// <param name="sizes">The shard sizes of the assembly's attributes.</param>
internal sealed class ReadProject(ulong hash, EquatableArray<AdaptedClass> classes, TargetSet targets, NamedSizes sizes)
{
    public ulong Hash { get; } = hash;

    public EquatableArray<AdaptedClass> Classes { get; } = classes;

    public TargetSet Targets { get; } = targets;

    public NamedSizes Sizes { get; } = sizes;
}

/// <summary>The shard sizes of the assembly's attributes, and what the files that have such attributes depend on.</summary>
internal sealed class NamedSizes(ulong fingerprint, EquatableArray<int> values)
{
    public ulong Fingerprint { get; } = fingerprint;

    public EquatableArray<int> Values { get; } = values;
}
