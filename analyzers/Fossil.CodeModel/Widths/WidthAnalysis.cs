using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Widths;

/// <summary>A width of a target: its possible values, or why it is not known.</summary>
/// <param name="Values">The values that it can have; empty where it is unknown.</param>
/// <param name="IsOwn">Whether the analysed body determines it; otherwise a callee alone does, and it is that callee's to judge.</param>
/// <param name="Syntax">The expression of the analysed body that carried it.</param>
/// <param name="Reason">Why it is unknown.</param>
/// <param name="Subject">The parameter, member or method behind an unknown width.</param>
public sealed record Width(ImmutableArray<long> Values, bool IsOwn, SyntaxNode? Syntax, UnknownReason Reason, string? Subject)
{
    /// <summary>Whether the values are known.</summary>
    public bool IsKnown => !Values.IsEmpty;

    internal static Width From(Value value)
    {
        var numbers = value.Alternatives.Select(alternative => alternative is Constant constant ? Folding.Integer(constant.Content) : null).ToList();
        if (numbers.All(number => number is > 0)) return new Width([.. numbers.Select(number => number!.Value)], value.From.Depth == 0, value.From.Via, default, null);
        var unknown = value as Unknown;
        return new Width([], false, null, unknown?.Reason ?? UnknownReason.NotFollowed, unknown?.Subject);
    }
}

/// <summary>The widths that a target was seen to have at one place.</summary>
/// <param name="Target">The target.</param>
/// <param name="Object">Tells the objects that one analysis has seen apart.</param>
/// <param name="Layer">Tells the layers that one analysis has seen apart; null where it is not known which layer it is.</param>
/// <param name="Index">The element of a collection, -1 where it is not known which; null for a target that is no collection.</param>
/// <param name="In">The input width.</param>
/// <param name="Out">The output width.</param>
/// <param name="Site">Where the object was made, or the target assigned.</param>
public sealed record TargetWidths(TargetMember Target, int Object, int? Layer, int? Index, Width In, Width Out, SyntaxNode? Site);

/// <summary>Finds the widths of targets by interpreting the bodies of one compilation.</summary>
public sealed class WidthAnalysis
{
    private static readonly ConditionalWeakTable<Compilation, WidthAnalysis> Analyses = new();

    private readonly OperationSource source;
    private readonly WidthKnowledge knowledge;

    private WidthAnalysis(Compilation compilation, WellKnownTypes types)
    {
        source = new OperationSource(compilation);
        knowledge = new WidthKnowledge(types, compilation.GetTypeByMetadataName(WellKnownNames.AdapterWidthsAttribute));
    }

    /// <summary>The analysis of <paramref name="compilation"/>, shared by all that ask.</summary>
    public static WidthAnalysis Of(Compilation compilation, WellKnownTypes types) => Analyses.GetValue(compilation, created => new WidthAnalysis(created, types));

    /// <summary>The targets of <paramref name="type"/> and of its base classes.</summary>
    public IReadOnlyList<TargetMember> TargetsOf(INamedTypeSymbol type) => knowledge.TargetsOf(type);

    /// <summary>What the targets hold that <paramref name="constructor"/> fills, or that are made in it; its parameters are not known.</summary>
    public IReadOnlyList<TargetWidths> OfConstructor(IMethodSymbol constructor, CancellationToken cancellationToken) =>
        Run(interpreter => interpreter.RunConstructor(constructor), cancellationToken);

    /// <summary>What the targets hold that are made or assigned in a body; the parameters of <paramref name="owner"/> are not known.</summary>
    public IReadOnlyList<TargetWidths> OfBody(ISymbol owner, IEnumerable<IOperation> blocks, CancellationToken cancellationToken) =>
        Run(interpreter => interpreter.RunBody(owner, blocks), cancellationToken);

    private IReadOnlyList<TargetWidths> Run(Action<Interpreter> run, CancellationToken cancellationToken)
    {
        var observer = new Collector();
        run(new Interpreter(source, knowledge, observer, cancellationToken));
        return observer.Seen;
    }

    private sealed class Collector : ITargetObserver
    {
        public List<TargetWidths> Seen { get; } = [];

        public void Observe(TargetObservation seen) => Seen.Add(new TargetWidths(
            seen.Target, seen.Owner, seen.Layer, seen.Index, Width.From(seen.In), Width.From(seen.Out), seen.Site));
    }
}
