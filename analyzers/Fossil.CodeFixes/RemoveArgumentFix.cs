using System.Collections.Immutable;
using System.Composition;
using Fossil.Analyzers.Attributes;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Removes an argument of the attribute that has no effect: a second naming of a target or size, or a setting that the variant does not use.</summary>
// Fixes: FOSSIL011 FOSSIL015 FOSSIL037
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class RemoveArgumentFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds => [DuplicateTarget.Id, SettingUnused.Id, ShardSizeWithoutKernels.Id];

    /// <inheritdoc/>
    public override async Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        var root = await context.Document.GetSyntaxRootAsync(context.CancellationToken).ConfigureAwait(false);
        foreach (var diagnostic in context.Diagnostics)
        {
            // A name inside an array is left to the author; so is the last name of an attribute, which would then name nothing.
            if (root?.FindNode(diagnostic.Location.SourceSpan, getInnermostNodeForTie: true).FirstAncestorOrSelf<AttributeArgumentSyntax>() is not { } argument
                || argument.Expression.Span != diagnostic.Location.SourceSpan
                || argument.Parent is not AttributeArgumentListSyntax list
                || (argument.NameEquals is null && list.Arguments.Count(other => other.NameEquals is null) < 2))
            {
                continue;
            }
            Offer<AttributeSyntax>(
                context, diagnostic, context.Document, diagnostic.Location.SourceSpan, $"Remove '{argument}'", nameof(RemoveArgumentFix),
                attribute => attribute.ArgumentList?.Arguments.FirstOrDefault(other => other.Span == argument.Span) is { } found ? AttributeEdits.Without(attribute, found) : null);
        }
    }
}
