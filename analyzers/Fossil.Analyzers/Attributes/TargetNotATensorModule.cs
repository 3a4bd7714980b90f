using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL003: A target of the wrong type.</summary>
internal static class TargetNotATensorModule
{
    public const string Id = "FOSSIL003";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target is not a Module<Tensor, Tensor>",
        "Target '{1}' of '{0}' has the type '{2}', which is neither a Module<Tensor, Tensor> nor a collection of them (an array, a list, a ModuleList, a ModuleDict or another dictionary by name): only such a layer can be adapted",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "An adapter changes the matrix of a layer that maps one tensor to one tensor, such as Linear.");
}
