using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL001: What keeps the generator from adding its part.</summary>
internal static class ClassNotPartial
{
    public const string Id = "FOSSIL001";

    public static readonly DiagnosticDescriptor Class = RuleDescriptor.Create(
        Id,
        "Annotated class is not partial",
        "Class '{0}' is marked [FossilAdapt] but is not partial, so the generator cannot add its part: add 'partial' to the declaration",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generator adds a part to the annotated class that tells the run time its targets. Each type around a nested class must be partial too.");

    public static readonly DiagnosticDescriptor ContainingType = RuleDescriptor.Create(
        Id,
        "Annotated class is not partial",
        "Class '{0}' is marked [FossilAdapt], but the type '{1}' around it is not partial, so the generator cannot add its part: add 'partial' to the declaration of '{1}'",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generator adds a part to the annotated class that tells the run time its targets. Each type around a nested class must be partial too.");
}
