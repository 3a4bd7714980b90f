using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Generators.CallSites;

/// <summary>Finds the calls of a compilation that run a target.</summary>
internal static class CallSiteFinder
{
    public static ImmutableArray<FileCallSites> Find(Compilation compilation, CancellationToken cancellationToken)
    {
        if (TargetIndex.Create(compilation, cancellationToken) is not { IsEmpty: false } index) return [];

        var files = ImmutableArray.CreateBuilder<FileCallSites>();
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var tree in TreesWithDistinctText(compilation, cancellationToken))
        {
            var interceptors = FindInTree(tree, index, cancellationToken);
            if (interceptors.IsEmpty) continue;
            var sourceName = FileName(tree.FilePath);
            files.Add(new FileCallSites(UniqueHintName(sourceName, names), sourceName, interceptors));
        }
        return files.ToImmutable();
    }

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

    /// <summary>
    /// The trees that may hold calls. The compiler finds an intercepted call by a hash of its file, so it accepts none in a file that is there twice.
    /// </summary>
    private static IEnumerable<SyntaxTree> TreesWithDistinctText(Compilation compilation, CancellationToken cancellationToken) =>
        from tree in compilation.SyntaxTrees
        let text = tree.GetText(cancellationToken)
        let content = text.ToString()
        where content.Contains(WellKnownNames.ForwardMethod) || content.Contains(WellKnownNames.CallMethod)
        group tree by content into same
        where same.Count() == 1
        select same.Single();

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
}
