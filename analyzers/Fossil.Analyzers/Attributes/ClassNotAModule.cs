using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL009: An annotated class that is no module.</summary>
internal static class ClassNotAModule
{
    public const string Id = "FOSSIL009";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Annotated class is not a module",
        "Class '{0}' is marked [FossilAdapt] but does not derive from torch.nn.Module: adapters belong to modules",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "AttachAdapters walks the modules of a model; a class that is not one of them is never found.");

    public static readonly DiagnosticDescriptor Static = RuleDescriptor.Create(
        Id,
        "Annotated class is not a module",
        "Class '{0}' is marked [FossilAdapt] but is static: adapters belong to modules, which are objects",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "AttachAdapters walks the modules of a model; a class that is not one of them is never found.");
}
