using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Fossil.CodeModel;
using Fossil.CodeModel.Declarations;
using Fossil.Generators.Emission;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Generators.CallSites;

/// <summary>Finds the calls that run a target, in one compilation after the other: in a file anew only where it, or what its names mean, has changed.</summary>
internal sealed class CallSiteFinder(DeclarationReader reader)
{
    private readonly ConditionalWeakTable<SyntaxTree, Finding> findings = new();
    private volatile Result last = new(0, [], []);

    public ImmutableArray<FileCallSites> Find(Compilation compilation, CancellationToken cancellationToken)
    {
        var project = reader.Read(compilation, cancellationToken);
        var before = last;
        var found = new List<Finding>(before.Findings.Count);
        var stale = new List<(int File, int Position, (ulong, ulong)? Fingerprint)>();
        for (var file = 0; file < project.Files.Count; file++)
        {
            if (!project.Files[file].NamesRunMethod) continue;
            findings.TryGetValue(project.Trees[file], out var finding);
            if (!StillHolds(finding, project, file, before, out var fingerprint)) stale.Add((file, found.Count, fingerprint));
            found.Add(finding!);
        }
        if (stale.Count > 0)
        {
            var index = TargetIndex.Create(compilation, project, cancellationToken);
            var made = new Finding[stale.Count];
            // In a build that is every file, and the compiler uses every processor as well.
            Parallel.For(
                0,
                stale.Count,
                new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = compilation.Options.ConcurrentBuild ? -1 : 1 },
                at => made[at] = FindAgain(project, stale[at].File, index, stale[at].Fingerprint, cancellationToken));
            for (var at = 0; at < made.Length; at++) found[stale[at].Position] = made[at];
        }
        var result = new Result(project.Hash, found, found.SequenceEqual(before.Findings) ? before.Files : FileGroups.Of(Distinct(found)));
        last = result;
        return result.Files;
    }

    /// <summary>Whether no change in other files since <paramref name="finding"/> concerns its file.</summary>
    private static bool StillHolds(Finding? finding, ProjectDeclarations project, int file, Result before, out (ulong Text, ulong Modules)? fingerprint)
    {
        // Where only bodies have changed, it is not worth while to find out what else would concern the file. Targets in other assemblies are part of the text's.
        fingerprint = before.Hash == project.Hash || finding?.Hash == project.Hash ? null : (project.FingerprintOfText(file), project.Targets.ModulesHash);
        if (finding is null || (finding.Hash != project.Hash && (fingerprint is null || finding.Fingerprint != fingerprint))) return false;
        finding.Hash = project.Hash;
        return true;
    }

    private Finding FindAgain(ProjectDeclarations project, int file, TargetIndex? index, (ulong, ulong)? fingerprint, CancellationToken cancellationToken)
    {
        var tree = project.Trees[file];
        var interceptors = index is { IsEmpty: false } ? FindInTree(tree, index, cancellationToken) : [];
        findings.Remove(tree);
        return findings.GetValue(tree, _ => new Finding(FileName(tree.FilePath), tree.GetText(cancellationToken).GetContentHash(), interceptors, fingerprint) { Hash = project.Hash });
    }

    /// <summary>The compiler finds an intercepted call by a hash of its file, so it accepts none in a file that is there twice.</summary>
    private static IReadOnlyList<FileCallSites> Distinct(List<Finding> findings)
    {
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        return
        [
            .. from finding in findings
               group finding by Convert.ToBase64String([.. finding.Content]) into same
               where same.Count() == 1
               let only = same.Single()
               where !only.Interceptors.IsEmpty
               select new FileCallSites(UniqueHintName(only.SourceName, names), only.SourceName, only.Interceptors),
        ];
    }

    private static EquatableArray<Interceptor> FindInTree(SyntaxTree tree, TargetIndex index, CancellationToken cancellationToken)
    {
        var sites = new List<(InvocationExpressionSyntax Invocation, InterceptorShape Shape, CallSite Site)>();
        SemanticModel? model = null;
        foreach (var node in tree.GetRoot(cancellationToken).DescendantNodes())
        {
            if (node is not InvocationExpressionSyntax invocation || !MayRunModule(invocation)) continue;
            cancellationToken.ThrowIfCancellationRequested();
            model ??= index.Compilation.GetSemanticModel(tree);
            if (model.GetOperation(invocation, cancellationToken) is not IInvocationOperation operation) continue;
            if (TargetUse.Classify(operation, index).Kind != TargetUseKind.Covered) continue;
            if (model.GetInterceptableLocation(invocation, cancellationToken) is not { } location) continue;

            var line = invocation.GetLocation().GetLineSpan().StartLinePosition.Line + 1;
            sites.Add((invocation, InterceptorShapes.Of(operation), new CallSite(location.GetInterceptsLocationAttributeSyntax(), line, Summary(invocation))));
        }
        var groups = SharedInputs(sites.Select(site => site.Invocation), model, index, cancellationToken);
        return Interceptor.Of(sites.Select(site => (site.Shape, groups.TryGetValue(site.Invocation, out var group) ? group : [], site.Site))).ToEquatableArray();
    }

    /// <summary>Of calls that read one value together with others, the members of all these.</summary>
    private static Dictionary<SyntaxNode, EquatableArray<string>> SharedInputs(IEnumerable<InvocationExpressionSyntax> sites, SemanticModel? model, TargetIndex index, CancellationToken cancellationToken)
    {
        var groups = new Dictionary<SyntaxNode, EquatableArray<string>>();
        foreach (var together in sites.GroupBy(site => site.FirstAncestorOrSelf<SyntaxNode>(node => node is BaseMethodDeclarationSyntax or AccessorDeclarationSyntax or ArrowExpressionClauseSyntax { Parent: BasePropertyDeclarationSyntax })))
        {
            // Most methods call no two projections on a name.
            if (together.Key is null || together.Select(NameOfInput).OfType<string>().GroupBy(name => name).All(same => same.Count() == 1)) continue;
            if (model!.GetOperation(together.Key, cancellationToken) is not { } body) continue;
            foreach (var pair in CallSites.SharedInputs.Find(body, together, index)) groups.Add(pair.Key, pair.Value);
        }

        return groups;
    }

    private static string? NameOfInput(InvocationExpressionSyntax invocation) => (invocation.ArgumentList.Arguments[0].Expression as IdentifierNameSyntax)?.Identifier.ValueText;

    private static bool MayRunModule(InvocationExpressionSyntax invocation) =>
        invocation.ArgumentList.Arguments.Count == 1
        && invocation.Expression switch
        {
            MemberAccessExpressionSyntax access => IsRunMethod(access.Name),
            MemberBindingExpressionSyntax binding => IsRunMethod(binding.Name),
            SimpleNameSyntax name => IsRunMethod(name),
            _ => false,
        };

    private static bool IsRunMethod(SimpleNameSyntax name) => name.Identifier.ValueText is WellKnownNames.ForwardMethod or WellKnownNames.CallMethod;

    private static string FileName(string path)
    {
        var name = path.Substring(path.LastIndexOfAny(['/', '\\']) + 1);
        return name.Length == 0 ? "Source.cs" : name;
    }

    private static string UniqueHintName(string sourceName, HashSet<string> taken)
    {
        var stem = sourceName.EndsWith(".cs", StringComparison.OrdinalIgnoreCase) ? sourceName.Substring(0, sourceName.Length - 3) : sourceName;
        var safe = new string(stem.Select(character => char.IsLetterOrDigit(character) || character is '.' or '_' or '-' ? character : '_').ToArray());
        var name = safe;
        for (var number = 2; !taken.Add(name); number++) name = $"{safe}_{number}";
        return $"{name}.Interceptors.g.cs";
    }

    /// <summary>The called expression on one line, shortened.</summary>
    private static string Summary(InvocationExpressionSyntax invocation)
    {
        SyntaxNode shown = invocation.Parent is ConditionalAccessExpressionSyntax access && access.WhenNotNull == invocation ? access : invocation;
        return OneLine.Shortened(shown.ToString(), 80);
    }

    /// <summary>The calls of one version of a file, and what they are known by.</summary>
    private sealed class Finding(string sourceName, ImmutableArray<byte> content, EquatableArray<Interceptor> interceptors, (ulong Text, ulong Modules)? fingerprint)
    {
        public string SourceName { get; } = sourceName;

        public ImmutableArray<byte> Content { get; } = content;

        public EquatableArray<Interceptor> Interceptors { get; } = interceptors;

        /// <summary>What they depend on besides the file; null where that is not known, so that any declaration may be it.</summary>
        public (ulong Text, ulong Modules)? Fingerprint { get; } = fingerprint;

        /// <summary>The declarations for which they were last found to hold.</summary>
        public ulong Hash { get; set; }
    }

    /// <summary>What was found in all files the last time.</summary>
    private sealed class Result(ulong hash, List<Finding> findings, ImmutableArray<FileCallSites> files)
    {
        public ulong Hash { get; } = hash;

        public List<Finding> Findings { get; } = findings;

        public ImmutableArray<FileCallSites> Files { get; } = files;
    }
}
