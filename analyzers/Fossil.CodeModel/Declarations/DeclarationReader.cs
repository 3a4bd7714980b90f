using System.Runtime.CompilerServices;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Declarations;

/// <summary>
/// Reads the annotated classes of one compilation after the other, each anew only where a declaration that it may depend on has changed.
/// </summary>
/// <remarks>
/// <c>ForAttributeWithMetadataName</c> binds the attributes of every annotated class again at each keystroke anywhere; with a thousand classes that is
/// felt. The models are plain values: nothing of a compilation is kept longer than it lives.
/// </remarks>
public sealed class DeclarationReader
{
    private readonly ConditionalWeakTable<Compilation, ProjectDeclarations> projects = new();
    private readonly ConditionalWeakTable<SyntaxTree, Reading> readings = new();
    private readonly KnownProjects known = new();

    /// <summary>The reader of the analyzers, which have no state of their own.</summary>
    public static DeclarationReader Shared { get; } = new();

    /// <summary>The declarations of <paramref name="compilation"/>.</summary>
    public ProjectDeclarations Read(Compilation compilation, CancellationToken cancellationToken)
    {
        if (projects.TryGetValue(compilation, out var read)) return read;
        var known = this.known.Of(compilation);
        var project = new ProjectDeclarations(compilation, known.Graphs, cancellationToken);
        var before = known.Last;
        if (before is null || before.Hash != project.Hash)
        {
            var classes = ReadClasses(compilation, project, cancellationToken);
            var sizes = ReadShardSizes(compilation, project, before?.Sizes);
            // What is made from all of them is kept as well, where none has changed.
            before = before is not null && classes.SequenceEqual(before.Classes)
                ? new ReadProject(project.Hash, before.Classes, before.Targets, sizes)
                : new ReadProject(project.Hash, classes.ToEquatableArray(), TargetSet.Of(classes), sizes);
            known.Last = before;
        }
        project.Classes = before.Classes;
        project.ShardSizes = before.Sizes.Values;
        project.Targets = before.Targets;
        return projects.GetValue(compilation, _ => project);
    }

    private List<AdaptedClass> ReadClasses(Compilation compilation, ProjectDeclarations project, CancellationToken cancellationToken)
    {
        var names = NamesOf("FossilAdapt", project);
        var classes = new List<AdaptedClass>();
        // A class may have attributes on several of its parts.
        var seen = new HashSet<string>();
        for (var file = 0; file < project.Files.Count; file++)
        {
            if (project.Files[file].Types.IsEmpty) continue;
            var annotated = project.Files[file].Types.Where(type => type.Attributes.Any(names.Contains)).ToList();
            if (annotated.Count == 0) continue;
            foreach (var model in ReadFile(compilation, project, file, annotated, cancellationToken))
            {
                if (seen.Add(model.MetadataName)) classes.Add(model);
            }
        }
        return classes;
    }

    private static NamedSizes ReadShardSizes(Compilation compilation, ProjectDeclarations project, NamedSizes? known)
    {
        var names = NamesOf("FossilShardSizes", project);
        var fingerprint = 0UL;
        for (var file = 0; file < project.Files.Count; file++)
        {
            if (project.Files[file].AssemblyAttributes is { IsEmpty: false } attributes && attributes.Any(names.Contains)) fingerprint = Fingerprint.Then(fingerprint, project.FingerprintOfDeclarations(file));
        }
        if (known is not null && known.Fingerprint == fingerprint) return known;
        var isNamed = fingerprint != 0 && WellKnownTypes.From(compilation) is not null;
        return new NamedSizes(fingerprint, isNamed ? NamedShardSizes.Of(compilation.Assembly, WellKnownTypes.From(compilation)!).ToEquatableArray() : []);
    }

    /// <summary>The names by which the project's files may call an attribute.</summary>
    private static HashSet<string> NamesOf(string attribute, ProjectDeclarations project)
    {
        var names = new HashSet<string>([attribute, attribute + nameof(Attribute)]);
        foreach (var file in project.Files)
        {
            foreach (var alias in file.Aliases)
            {
                if (alias.Target == attribute || alias.Target == attribute + nameof(Attribute)) names.Add(alias.Name);
            }
        }
        return names;
    }

    private EquatableArray<AdaptedClass> ReadFile(
        Compilation compilation, ProjectDeclarations project, int file, List<FileDeclarations.DeclaredType> annotated, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var tree = project.Trees[file];
        var fingerprint = project.FingerprintOfDeclarations(file);
        if (readings.TryGetValue(tree, out var reading) && reading.Fingerprint == fingerprint) return reading.Classes;

        var classes = Parse(compilation, tree, annotated, cancellationToken).ToEquatableArray();
        readings.Remove(tree);
        readings.GetValue(tree, _ => new Reading(fingerprint, classes));
        return classes;
    }

    private static IEnumerable<AdaptedClass> Parse(Compilation compilation, SyntaxTree tree, List<FileDeclarations.DeclaredType> annotated, CancellationToken cancellationToken)
    {
        if (WellKnownTypes.From(compilation) is not { } types) yield break;
        foreach (var type in annotated)
        {
            if (type.In(compilation, tree, cancellationToken) is { } symbol && AdaptedClassParser.Parse(symbol, types, cancellationToken) is { } model) yield return model;
        }
    }

    private sealed class Reading(ulong fingerprint, EquatableArray<AdaptedClass> classes)
    {
        public ulong Fingerprint { get; } = fingerprint;

        public EquatableArray<AdaptedClass> Classes { get; } = classes;
    }
}
