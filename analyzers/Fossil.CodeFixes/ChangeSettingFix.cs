using System.Collections.Immutable;
using System.Composition;
using System.Globalization;
using Fossil.Analyzers;
using Fossil.Analyzers.Attributes;
using Fossil.Analyzers.Shapes;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CodeFixes;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.CodeFixes;

/// <summary>Sets the shard size or mini size to one that fits, or allows padding. The attribute may stand in another file than the report.</summary>
// Fixes: FOSSIL004 FOSSIL005 FOSSIL016 FOSSIL017 FOSSIL020
[ExportCodeFixProvider(LanguageNames.CSharp), Shared]
public sealed class ChangeSettingFix : FixProvider
{
    /// <inheritdoc/>
    public override ImmutableArray<string> FixableDiagnosticIds =>
        [ShardSizeNotPositive.Id, WidthNotDivisible.Id, MiniSizeNotPositive.Id, WidthNotDivisibleByMiniSize.Id, ShardLargerThanInput.Id];

    /// <inheritdoc/>
    public override Task RegisterCodeFixesAsync(CodeFixContext context)
    {
        foreach (var diagnostic in context.Diagnostics)
        {
            var location = diagnostic.AdditionalLocations.FirstOrDefault() ?? diagnostic.Location;
            if (location.SourceTree is not { } tree || context.Document.Project.Solution.GetDocument(tree) is not { } document) continue;
            if (!diagnostic.Properties.TryGetValue(DiagnosticProperties.Setting, out var setting) || setting is null) continue;
            foreach (var size in Sizes(diagnostic, setting))
            {
                var title = string.Format(CultureInfo.InvariantCulture, "Set {0} = {1}", setting, size);
                Offer<AttributeSyntax>(context, diagnostic, document, location.SourceSpan, title, title, attribute => AttributeEdits.WithSetting(attribute, setting, AttributeEdits.Number(size)));
            }
            if (diagnostic.Properties.ContainsKey(DiagnosticProperties.CanPad))
            {
                const string Title = "Set AllowPadding = true";
                Offer<AttributeSyntax>(
                    context, diagnostic, document, location.SourceSpan, Title, Title,
                    attribute => AttributeEdits.WithSetting(attribute, nameof(AdapterSettings.AllowPadding), SyntaxFactory.LiteralExpression(SyntaxKind.TrueLiteralExpression)));
            }
        }
        return Task.CompletedTask;
    }

    private static IEnumerable<int> Sizes(Diagnostic diagnostic, string setting)
    {
        if (diagnostic.Id is ShardSizeNotPositive.Id or MiniSizeNotPositive.Id)
        {
            return [setting == nameof(AdapterSettings.ShardSize) ? AdapterSettings.DefaultShardSize : 1];
        }
        return diagnostic.Properties.TryGetValue(DiagnosticProperties.ShardSizes, out var sizes) && sizes is not null
            ? sizes.Split(',').Select(size => int.Parse(size, CultureInfo.InvariantCulture))
            : [];
    }
}
