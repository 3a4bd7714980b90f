using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers;
using Fossil.Analyzers.Attributes;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Removes an argument of the attribute that has no effect: a second naming of a target or size, a setting that the variant does not use, or a shard size that gets no kernels.</summary>
// Fixes: FOSSIL011 FOSSIL015 FOSSIL037
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class RemoveArgumentFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [DuplicateTarget.Id, SettingUnused.Id, ShardSizeWithoutKernels.Id];

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (!diagnostic.Properties.ContainsKey(DiagnosticProperties.CanRemove)) yield break;
        // A name inside an array is left to the author.
        if (reported.FirstAncestorOrSelf<AttributeArgumentSyntax>() is not { } argument || argument.Expression.Span != diagnostic.Location.SourceSpan) yield break;
        if (argument.ContainsDirectives) yield break;
        yield return new Fix($"Remove '{argument}'", nameof(RemoveArgumentFix), argument, (root, current) =>
            current.Parent is AttributeArgumentListSyntax list ? root.ReplaceNode(list, AttributeEdits.Without(list, (AttributeArgumentSyntax)current)) : root);
    }
}
