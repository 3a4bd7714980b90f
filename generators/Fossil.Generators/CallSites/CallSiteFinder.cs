using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Fossil.CodeModel;
using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Generators.CallSites;

/// <summary>Finds the calls that run a target, in one compilation after the other: in a file anew only where it, or what its names mean, has changed.</summary>
internal sealed class CallSiteFinder(DeclarationReader reader)
{
    private readonly ConditionalWeakTable<SyntaxTree, Finding> findings = new();

    public ImmutableArray<FileCallSites> Find(Compilation compilation, CancellationToken cancellationToken)
    {
        var project = reader.Read(compilation, cancellationToken);
        if (TargetIndex.Create(compilation, project, cancellationToken) is not { IsEmpty: false } index) return [];

        var files = new List<(SyntaxTree Tree, Finding Found)>();
        for (var file = 0; file < project.Files.Count; file++)
        {
            if (project.Files[file].NamesRunMethod) files.Add((project.Trees[file], FindInFile(project, file, index, cancellationToken)));
        }

        // The compiler finds an intercepted call by a hash of its file, so it accepts none in a file that is there twice.
        var contents = files.ToLookup(file => file.Found.Content);
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var found = ImmutableArray.CreateBuilder<FileCallSites>();
        foreach (var (_, finding) in files)
        {
            if (!finding.Interceptors.IsEmpty && contents[finding.Content].Count() == 1) found.Add(finding.Under(UniqueHintName(finding.SourceName, names)));
        }
        return found.ToImmutable();
    }

    private Finding FindInFile(ProjectDeclarations project, int file, TargetIndex index, CancellationToken cancellationToken)
    {
        var tree = project.Trees[file];
        var known = findings.TryGetValue(tree, out var finding) ? finding : null;
        if (known is not null && known.Hash == project.Hash) return known;

        var fingerprint = (project.FingerprintOfText(file), index.ModulesHash);
        if (known is not null && known.Fingerprint == fingerprint)
        {
            known.Hash = project.Hash;
            return known;
        }
        var found = new Finding(FileName(tree.FilePath), Content(tree, cancellationToken), FindInTree(tree, index, cancellationToken), fingerprint) { Hash = project.Hash };
        findings.Remove(tree);
        return findings.GetValue(tree, _ => found);
    }

    private static string Content(SyntaxTree tree, CancellationToken cancellationToken) =>
        Convert.ToBase64String(tree.GetText(cancellationToken).GetContentHash().ToArray());

    private static EquatableArray<Interceptor> FindInTree(SyntaxTree tree, TargetIndex index, CancellationToken cancellationToken)
    {
        var sites = new List<(InterceptorShape Shape, CallSite Site)>();
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
            sites.Add((InterceptorShapes.Of(operation), new CallSite(location.GetInterceptsLocationAttributeSyntax(), line, Summary(invocation))));
        }
        return sites
            .GroupBy(site => site.Shape, site => site.Site)
            .Select(group => new Interceptor(group.Key, group.ToEquatableArray()))
            .ToEquatableArray();
    }

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
        const int longest = 80;
        SyntaxNode shown = invocation.Parent is ConditionalAccessExpressionSyntax access && access.WhenNotNull == invocation ? access : invocation;
        var text = string.Join(" ", shown.ToString().Split([' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries));
        return text.Length <= longest ? text : text.Substring(0, longest - 3) + "...";
    }

    /// <summary>The calls of one version of a file, and what they are known by.</summary>
    private sealed class Finding(string sourceName, string content, EquatableArray<Interceptor> interceptors, (ulong Text, ulong Modules) fingerprint)
    {
        private volatile FileCallSites? last;

        public string SourceName { get; } = sourceName;

        public string Content { get; } = content;

        public EquatableArray<Interceptor> Interceptors { get; } = interceptors;

        public (ulong Text, ulong Modules) Fingerprint { get; } = fingerprint;

        /// <summary>The declarations for which they were last found to hold.</summary>
        public ulong Hash { get; set; }

        /// <summary>The same object as long as the name is the same, so that nobody has to compare.</summary>
        public FileCallSites Under(string hintName)
        {
            if (last is { } known && known.HintName == hintName) return known;
            return last = new FileCallSites(hintName, SourceName, Interceptors);
        }
    }
}
