using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL037: a size in <c>[assembly: FossilShardSizes]</c> that gets no kernels of its own. One that is not positive is FOSSIL004.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class ShardSizeWithoutKernels : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor, ShardSizeNotPositive.Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        context.RegisterSyntaxNodeAction(node => Analyze(node, types), SyntaxKind.AttributeList);
    }

    private static void Analyze(SyntaxNodeAnalysisContext context, WellKnownTypes types)
    {
        var list = (AttributeListSyntax)context.Node;
        if (list.Target?.Identifier.IsKind(SyntaxKind.AssemblyKeyword) != true) return;
        // Sizes count over all attributes of the assembly; only those of this list are reported here.
        var named = new HashSet<int>();
        foreach (var attribute in NamedShardSizes.Attributes(context.Compilation.Assembly, types))
        {
            var syntax = attribute.ApplicationSyntaxReference?.GetSyntax(context.CancellationToken) as AttributeSyntax;
            foreach (var (size, position) in NamedShardSizes.Arguments(attribute))
            {
                if (Problem(size, named) is { } problem && syntax?.Parent == list)
                {
                    var location = (AttributeSyntaxLocator.Target(syntax, position) ?? syntax).GetLocation();
                    context.ReportDiagnostic(AdaptSettings.ShardSize.ProblemOf(size) is { } wrong ? Diagnostic.Create(ShardSizeNotPositive.Descriptor, location, wrong) : Diagnostic.Create(Descriptor, location, Removable, size, problem));
                }
            }
        }
    }

    /// <summary>An attribute without sizes is one that asks for none.</summary>
    private static readonly ImmutableDictionary<string, string?> Removable = ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.CanRemove, null);

    private static string? Problem(int size, HashSet<int> named)
    {
        if (!NamedShardSizes.CanHaveKernels(size)) return $"no input is as wide (the largest is {NamedShardSizes.Largest})";
        if (!named.Add(size)) return "it is named before";
        return named.Count > NamedShardSizes.Most ? $"there are {NamedShardSizes.Most} before it, so name only those that are used" : null;
    }
}
