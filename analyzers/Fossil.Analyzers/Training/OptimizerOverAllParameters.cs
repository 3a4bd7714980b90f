using System.Collections.Immutable;
using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Training;

/// <summary>FOSSIL028: An optimizer that is given the frozen base too.</summary>
internal static partial class OptimizerOverAllParameters
{
    public static void Check(BlockEvents events, Action<Diagnostic> report)
    {
        foreach (var optimizer in events.Of(EventKind.MakeOptimizer))
        {
            if (optimizer.Subject is not { } model || optimizer.Parameters is not { } parameters) continue;
            var attach = events.AttachBefore(optimizer, model);
            if (attach is null) continue;
            // The adapted model gives names and parameters; an optimizer that takes parameters alone is left to the author.
            var properties = attach.Result is { Symbol: ILocalSymbol adapted } && parameters.TakesNames
                ? ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.Replacement, adapted.Name)
                : null;
            // The fix can keep the adapted model that it needs.
            Location[] discarded = parameters.TakesNames && AdaptedModelDiscarded.IsDiscarded(attach) ? [parameters.Syntax.GetLocation(), attach.Operation.Syntax.GetLocation()] : [];
            report(Diagnostic.Create(Descriptor, parameters.Syntax.GetLocation(), discarded, properties, model.Name, attach.Result is { } named ? named.Name + "." : ""));
        }
    }
}
