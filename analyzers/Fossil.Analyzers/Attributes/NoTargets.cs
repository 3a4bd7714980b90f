using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL010: An attribute without effect.</summary>
internal static class NoTargets
{
    public const string Id = "FOSSIL010";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Attribute names no target",
        "[FossilAdapt] on '{0}' names no target: name the fields or properties to adapt, as in [FossilAdapt(\"q_proj\", \"v_proj\")]",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "Only the members that the attribute names are adapted.");

    public static readonly DiagnosticDescriptor EmptyName = RuleDescriptor.Create(
        Id,
        "Attribute names no target",
        "[FossilAdapt] on '{0}' has a target name that is null or empty: name a field or property of the class",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "Only the members that the attribute names are adapted.");
}
