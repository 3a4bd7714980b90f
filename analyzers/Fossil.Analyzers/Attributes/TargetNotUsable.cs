using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL013: A member that generated code cannot read.</summary>
internal static class TargetNotUsable
{
    public const string Id = "FOSSIL013";

    public static readonly DiagnosticDescriptor NotReadable = RuleDescriptor.Create(
        Id,
        "Target cannot be read",
        "'{1}' of '{0}' is a {2}: a target must be a field, or a property with a getter",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generated part of the class reads each target as the class itself would.");

    public static readonly DiagnosticDescriptor Inaccessible = RuleDescriptor.Create(
        Id,
        "Target cannot be read",
        "'{1}' is private in the base class '{2}', so the generated part of '{0}' cannot read it: annotate '{2}' instead, or make '{1}' protected",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generated part of the class reads each target as the class itself would.");

    public static readonly DiagnosticDescriptor Static = RuleDescriptor.Create(
        Id,
        "Target cannot be read",
        "'{1}' of '{0}' is static: adapters belong to one model, so a target must be an instance field or property",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generated part of the class reads each target as the class itself would.");
}
