using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.CodeModel.Declarations;

/// <summary>The declarations of one compilation: the annotated classes, and by what they and other results are known to hold still.</summary>
public sealed class ProjectDeclarations
{
    private readonly SyntaxTree[] trees;
    private readonly FileDeclarations[] files;
    private readonly ulong environment;
    private readonly object gate = new();
    private readonly NameGraphs graphs;
    private NameGraph? graph;

    internal ProjectDeclarations(Compilation compilation, NameGraphs graphs, CancellationToken cancellationToken)
    {
        this.graphs = graphs;
        trees = [.. compilation.SyntaxTrees];
        files = new FileDeclarations[trees.Length];
        for (var file = 0; file < trees.Length; file++) files[file] = FileDeclarations.Of(trees[file], cancellationToken);
        environment = Environment(compilation, graphs, cancellationToken);
        Hash = files.Aggregate(environment, static (hash, file) => Fingerprint.Then(hash, file.Hash));
    }

    /// <summary>The files.</summary>
    public IReadOnlyList<SyntaxTree> Trees => trees;

    /// <summary>What each of <see cref="Trees"/> declares.</summary>
    public IReadOnlyList<FileDeclarations> Files => files;

    /// <summary>The same for every compilation with the same declarations in the same order.</summary>
    public ulong Hash { get; }

    /// <summary>The annotated classes, in the order of the files.</summary>
    public EquatableArray<AdaptedClass> Classes { get; internal set; }

    /// <summary>The shard sizes that the assembly names for kernels, besides those of the classes.</summary>
    public EquatableArray<int> ShardSizes { get; internal set; }

    /// <summary>Their targets.</summary>
    public TargetSet Targets { get; internal set; } = TargetSet.Empty;

    /// <summary>Changes when what the declarations of a file say or mean may have changed.</summary>
    public ulong FingerprintOfDeclarations(int file)
    {
        lock (gate) return Graph.OfDeclarations(files, file) ?? OwnGraph().OfDeclarations(files, file)!.Value;
    }

    /// <summary>Changes when what the text of a file means may have changed, its own bodies aside.</summary>
    public ulong FingerprintOfText(int file)
    {
        lock (gate) return Graph.OfText(files, file) ?? OwnGraph().OfText(files, file)!.Value;
    }

    private NameGraph Graph => graph ??= graphs.Of(files, environment);

    /// <summary>For a version that is asked again after a later one has gone on with its graph: a graph that no other gets.</summary>
    private NameGraph OwnGraph() => graph = new NameGraph(files, environment);

    /// <summary>What every file depends on: the assembly, whose friends it may be one of, references, and whether types without <c>?</c> can be null.</summary>
    private static ulong Environment(Compilation compilation, NameGraphs graphs, CancellationToken cancellationToken)
    {
        var hash = Fingerprint.Then(Fingerprint.Of(compilation.AssemblyName ?? ""), (ulong)compilation.Options.NullableContextOptions);
        foreach (var reference in compilation.References)
        {
            // A project that this one references is another object after each edit there.
            hash = Fingerprint.Then(hash, reference is CompilationReference { Compilation: CSharpCompilation project }
                ? new ProjectDeclarations(project, graphs, cancellationToken).Hash
                : (ulong)reference.GetHashCode());
        }
        return hash;
    }
}
