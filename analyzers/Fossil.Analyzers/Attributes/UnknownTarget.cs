using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL002: A target name without a member.</summary>
internal static class UnknownTarget
{
    public const string Id = "FOSSIL002";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target does not exist",
        "Class '{0}' has no field or property '{1}'{2}",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The names in [FossilAdapt] are those of fields or properties of the class or of a base class, spelled as they are declared.");
}
