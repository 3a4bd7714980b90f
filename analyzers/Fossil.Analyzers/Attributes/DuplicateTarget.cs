using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL011: A target that is named twice.</summary>
internal static class DuplicateTarget
{
    public const string Id = "FOSSIL011";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target is named twice",
        "Target '{1}' of '{0}' is named twice: the settings of the first are used, so remove this one",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "One member has one set of settings. A second name, in the same or in another [FossilAdapt], would be ignored.");
}
