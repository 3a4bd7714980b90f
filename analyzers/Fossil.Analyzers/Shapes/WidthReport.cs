using System.Collections.Immutable;
using System.Globalization;
using Fossil.CodeModel;
using Fossil.CodeModel.Widths;
using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Shapes;

/// <summary>Judges the widths that one analysis has seen, and reports each place once.</summary>
internal sealed class WidthReport(WellKnownTypes types, Action<Diagnostic> report, CancellationToken cancellationToken)
{
    private readonly HashSet<(string Id, Location Place, string Target, string What)> reported = [];

    /// <summary>What is wrong at one place with one width, and the targets that it is wrong for.</summary>
    private readonly List<Finding> findings = [];

    private sealed record Finding(
        DiagnosticDescriptor Rule, Location Place, INamedTypeSymbol Owner, int Attribute, string What, DiagnosticSeverity Severity,
        IEnumerable<Location>? AdditionalLocations, ImmutableDictionary<string, string?> Properties, object[] Arguments, List<string> Targets);

    /// <summary>Reports widths that the settings of their targets do not divide.</summary>
    public void Check(IReadOnlyList<TargetWidths> seen)
    {
        foreach (var widths in seen)
        {
            var settings = widths.Target.Target.Settings;
            // The sizes that are used on request are those of a configuration.
            if (settings.ShardSize <= 0 || settings.OnRequest) continue;
            CheckInput(widths, settings, seen);
            if (settings.Variant == FossilVariant.Bat) CheckDivisible(widths, widths.Out, "output", settings, seen);
            if (settings is { Variant: FossilVariant.Mini, MiniSize: > 0 }) CheckMiniSize(widths, settings.MiniSize);
        }
    }

    private void CheckInput(TargetWidths widths, AdapterSettings settings, IReadOnlyList<TargetWidths> seen)
    {
        var input = widths.In;
        if (!input.IsKnown || !input.IsOwn) return;
        var isPadded = settings.AllowPadding && settings.Variant != FossilVariant.Bat;
        if (input.Values.All(value => value < settings.ShardSize))
        {
            // Padding would make a shard of zeros.
            var properties = Suggest(widths, settings, seen, out var advice).Remove(DiagnosticProperties.CanPad);
            Add(ShardLargerThanInput.Descriptor, widths, input, "larger", isPadded ? DiagnosticSeverity.Warning : DiagnosticSeverity.Error, properties,
                settings.ShardSize, Text(input.Values), advice);
        }
        else if (!isPadded)
        {
            CheckDivisible(widths, input, "input", settings, seen);
        }
    }

    private void CheckDivisible(TargetWidths widths, Width width, string which, AdapterSettings settings, IReadOnlyList<TargetWidths> seen)
    {
        if (!width.IsKnown || !width.IsOwn || width.Values.Any(value => value % settings.ShardSize == 0)) return;
        var properties = Suggest(widths, settings, seen, out var advice);
        Add(WidthNotDivisible.Descriptor, widths, width, which, DiagnosticSeverity.Error, properties,
            which, Text(width.Values), settings.ShardSize, Divisions.Explain(width.Values[0], settings.ShardSize), advice);
    }

    private void CheckMiniSize(TargetWidths widths, int miniSize)
    {
        var output = widths.Out;
        if (!output.IsKnown || !output.IsOwn || output.Values.Any(value => value % miniSize == 0)) return;
        var sizes = Divisions.Near(output.Values[0], miniSize);
        var properties = ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.Setting, AdaptSettings.MiniSize.Name);
        if (sizes.Count > 0) properties = properties.Add(DiagnosticProperties.ShardSizes, List(sizes));
        Add(WidthNotDivisibleByMiniSize.Descriptor, widths, output, "mini", DiagnosticSeverity.Error, properties,
            Text(output.Values), miniSize, Divisions.Explain(output.Values[0], miniSize), Advice("mini size", sizes));
    }

    /// <summary>Shard sizes that divide the known widths of all targets of the same attribute.</summary>
    private static ImmutableDictionary<string, string?> Suggest(TargetWidths widths, AdapterSettings settings, IReadOnlyList<TargetWidths> seen, out string advice)
    {
        var together = seen.Where(other => other.Object == widths.Object
            && other.Target.Target.AttributeIndex == widths.Target.Target.AttributeIndex
            && WellKnownTypes.Same(other.Target.Owner, widths.Target.Owner)).ToList();
        var inputs = together.SelectMany(other => other.In.Values).ToList();
        var outputs = together.SelectMany(other => other.Out.Values).ToList();
        // As many rows as inputs would share nothing.
        var below = inputs.Count > 0 ? inputs.Min() : long.MaxValue;
        var sizes = Divisions.Near(Divisions.CommonDivisor(inputs.Concat(outputs)), settings.ShardSize, below);
        if (sizes.Count == 0 && settings.Variant != FossilVariant.Bat) sizes = Divisions.Near(Divisions.CommonDivisor(inputs), settings.ShardSize, below);
        advice = Advice("shard size", sizes);
        var properties = ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.Setting, AdaptSettings.ShardSize.Name);
        if (sizes.Count > 0) properties = properties.Add(DiagnosticProperties.ShardSizes, List(sizes));
        if (settings.Variant != FossilVariant.Bat && !settings.AllowPadding) properties = properties.Add(DiagnosticProperties.CanPad, "true");
        return properties;
    }

    private static string Advice(string what, IReadOnlyList<long> sizes) => sizes.Count == 0 ? "" : $"; a {what} that fits is {string.Join(" or ", sizes.Select(Number))}";

    private static string List(IEnumerable<long> sizes) => string.Join(",", sizes.Select(Number));

    private static string Text(ImmutableArray<long> values) => string.Join(" or ", values.Select(Number));

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private void Add(
        DiagnosticDescriptor rule, TargetWidths widths, Width width, string what, DiagnosticSeverity severity, ImmutableDictionary<string, string?> properties, params object[] arguments)
    {
        if ((width.Syntax ?? widths.Site)?.GetLocation() is not { } place) return;
        var (owner, _, target) = widths.Target;
        var same = findings.FirstOrDefault(other => other.Rule == rule && other.Place == place && other.What == what
            && other.Attribute == target.AttributeIndex && WellKnownTypes.Same(other.Owner, owner));
        if (same is null) findings.Add(new Finding(rule, place, owner, target.AttributeIndex, what, severity, AttributeOf(widths.Target), properties, arguments, [target.Member]));
        else if (!same.Targets.Contains(target.Member)) same.Targets.Add(target.Member);
    }

    /// <summary>Reports what the checks have found, targets that the same width is wrong for together.</summary>
    public void Flush()
    {
        foreach (var finding in findings)
        {
            var targets = string.Join(", ", finding.Targets.Select(target => $"'{target}'"));
            report(Diagnostic.Create(finding.Rule, finding.Place, finding.Severity, finding.AdditionalLocations, finding.Properties, [targets, finding.Owner.Name, .. finding.Arguments]));
        }
        findings.Clear();
    }

    /// <summary>The attribute that the fix changes, which may stand in another file.</summary>
    private IEnumerable<Location>? AttributeOf(TargetMember target)
    {
        var attributes = AdaptedClassParser.AdaptAttributes(target.Owner, types);
        return target.Target.AttributeIndex < attributes.Count && attributes[target.Target.AttributeIndex].ApplicationSyntaxReference?.GetSyntax(cancellationToken) is { } syntax
            ? [syntax.GetLocation()]
            : null;
    }

    /// <summary>Reports a layer that two targets hold.</summary>
    public void CheckShared(IReadOnlyList<TargetWidths> seen, INamedTypeSymbol type)
    {
        foreach (var shared in seen.Where(one => one.Layer is not null && WellKnownTypes.Same(one.Target.Owner, type)).GroupBy(one => (one.Object, one.Layer)))
        {
            var first = shared.First();
            if (shared.FirstOrDefault(other => !WellKnownTypes.Same(other.Target.Symbol, first.Target.Symbol)) is not { } second) continue;
            var place = Place(second.Target);
            if (!reported.Add((LayerSharedByTargets.Id, place, second.Target.Target.Member, "shared"))) continue;
            report(Diagnostic.Create(LayerSharedByTargets.Descriptor, place, first.Target.Target.Member, second.Target.Target.Member, first.Target.Owner.Name));
        }
    }

    /// <summary>Notes each width that the class itself does not determine.</summary>
    public void NoteUnknown(IReadOnlyList<TargetWidths> seen, INamedTypeSymbol type)
    {
        foreach (var widths in seen.Where(one => WellKnownTypes.Same(one.Target.Owner, type)))
        {
            var settings = widths.Target.Target.Settings;
            if (settings.OnRequest) continue;
            if (!widths.In.IsKnown && !settings.AllowPadding) Note(widths, widths.In, "input");
            else if (!settings.AllowPadding) NoteSome(widths, widths.In, "input", settings.ShardSize);
            if (!widths.Out.IsKnown && settings.Variant != FossilVariant.Balance) Note(widths, widths.Out, "output");
            else if (settings.Variant == FossilVariant.Bat) NoteSome(widths, widths.Out, "output", settings.ShardSize);
        }
    }

    /// <summary>Notes a width that is wrong with one of its possible values and right with another: which it has is told at run time.</summary>
    private void NoteSome(TargetWidths widths, Width width, string which, int shardSize)
    {
        if (shardSize <= 0) return;
        var wrong = width.Values.Where(value => value % shardSize != 0).ToImmutableArray();
        if (!wrong.IsEmpty && wrong.Length < width.Values.Length) Note(widths, which, $"it can be {Text(width.Values)}, and shard size {Number(shardSize)} does not divide {Text(wrong)}");
    }

    private void Note(TargetWidths widths, Width width, string which) => Note(widths, which, Because(width));

    private void Note(TargetWidths widths, string which, string because)
    {
        var place = Place(widths.Target);
        if (!reported.Add((WidthCheckedAtRunTime.Id, place, widths.Target.Target.Member, which))) return;
        report(Diagnostic.Create(WidthCheckedAtRunTime.Descriptor, place, widths.Target.Target.Member, widths.Target.Owner.Name, which, because));
    }

    private static string Because(Width width) => width.Reason switch
    {
        UnknownReason.Parameter => $"it depends on the parameter '{width.Subject}'",
        UnknownReason.Call => $"it depends on what '{width.Subject}' returns",
        UnknownReason.Member => $"it depends on the value of '{width.Subject}', which is set elsewhere",
        UnknownReason.Metadata => $"'{width.Subject}' is a field of another assembly and no constant, so that its value cannot be read",
        UnknownReason.TooManyValues => "it can have many values",
        UnknownReason.TooLong => "the code before it is too long to follow",
        _ => "the code that makes the layer is not followed",
    };

    private Location Place(TargetMember target) => AttributeSyntaxLocator.Locate(target.Owner, types, target.Target, cancellationToken);
}
