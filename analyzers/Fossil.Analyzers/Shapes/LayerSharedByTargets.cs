using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Shapes;

/// <summary>FOSSIL025: One layer under two targets.</summary>
internal static class LayerSharedByTargets
{
    public const string Id = "FOSSIL025";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "One layer is in two targets",
        "'{0}' and '{1}' of '{2}' hold the same layer: it would get two adapters, and moving the model would break its parameters; make a layer for each, or name one of them",
        RuleDescriptor.Shape,
        DiagnosticSeverity.Warning,
        "The same parameter registered twice breaks Module.to, and two adapters on one weight are not what the attribute says.");
}
