using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>Reports what the parse of <c>[FossilAdapt]</c>, which the generator shares, has found wrong.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class AdaptAttributeAnalyzer : ClassRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [.. AttributeRules.ByProblem.Values, .. AttributeRules.OfSettings];

    private protected override void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types)
    {
        if (AdaptedClassParser.Parse(type, types, context.CancellationToken) is not { } parsed) return;
        foreach (var problem in parsed.Problems)
        {
            var location = AttributeSyntaxLocator.Locate(type, types, problem, context.CancellationToken);
            var (arguments, properties) = Explain(problem, parsed);
            context.ReportDiagnostic(Diagnostic.Create(AttributeRules.Of(problem), location, properties, arguments));
        }
    }

    private static (object[] Arguments, ImmutableDictionary<string, string?> Properties) Explain(ParseProblem problem, AdaptedClass parsed)
    {
        var arguments = problem.Arguments.Cast<object>().ToArray();
        var properties = ImmutableDictionary<string, string?>.Empty;
        if (problem.Setting is { } setting) properties = properties.Add(DiagnosticProperties.Setting, setting);
        if (problem is { Kind: ParseProblemKind.UnknownTarget, Arguments: [var type, var name, var nearest] })
        {
            arguments = [type, name, nearest.Length > 0 ? $": did you mean '{nearest}'?" : " that could be a target: name a member whose value is a Module<Tensor, Tensor>"];
            if (nearest.Length > 0) properties = properties.Add(DiagnosticProperties.Replacement, nearest);
        }
        // The last name of an attribute stays: without it the attribute would name nothing.
        var canRemove = problem.Kind == ParseProblemKind.SettingUnusedByVariant
            || (problem.Kind == ParseProblemKind.DuplicateTarget && parsed.Targets.Any(target => target.AttributeIndex == problem.AttributeIndex));
        if (canRemove) properties = properties.Add(DiagnosticProperties.CanRemove, null);
        return (arguments, properties);
    }
}
