using System.Collections.Immutable;
using System.Composition;
using System.Globalization;
using Fossil.Analyzers;
using Fossil.Analyzers.Attributes;
using Fossil.Analyzers.Shapes;
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

    private protected override IEnumerable<Fix> FixesOf(Diagnostic diagnostic, SyntaxNode reported)
    {
        if (!diagnostic.Properties.TryGetValue(DiagnosticProperties.Setting, out var setting) || setting is null) yield break;
        if (reported.FirstAncestorOrSelf<AttributeSyntax>() is not { } attribute) yield break;
        foreach (var size in Sizes(diagnostic, setting))
        {
            yield return Setting(attribute, setting, size.ToString(CultureInfo.InvariantCulture));
        }
        if (diagnostic.Properties.ContainsKey(DiagnosticProperties.CanPad))
        {
            yield return Setting(attribute, AdaptSettings.AllowPadding.Name, "true");
        }
    }

    private static Fix Setting(AttributeSyntax attribute, string setting, string value)
    {
        var title = $"Set {setting} = {value}";
        return Fix.Replace(title, title, attribute, current => AttributeEdits.WithSetting(current, setting, SyntaxFactory.ParseExpression(value)));
    }

    private static IEnumerable<int> Sizes(Diagnostic diagnostic, string setting)
    {
        if (diagnostic.Id is ShardSizeNotPositive.Id or MiniSizeNotPositive.Id)
        {
            return [setting == AdaptSettings.ShardSize.Name ? AdaptSettings.ShardSize.Default : AdaptSettings.MiniSize.Default];
        }
        return diagnostic.Properties.TryGetValue(DiagnosticProperties.ShardSizes, out var sizes) && sizes is not null
            ? sizes.Split(',').Select(size => int.Parse(size, CultureInfo.InvariantCulture))
            : [];
    }
}
