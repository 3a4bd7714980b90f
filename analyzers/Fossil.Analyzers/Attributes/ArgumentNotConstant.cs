using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL012: An argument that the compiler cannot evaluate.</summary>
internal static class ArgumentNotConstant
{
    public const string Id = "FOSSIL012";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Attribute argument is not a constant",
        "The argument '{0}' of [FossilAdapt] is not a constant that the generator can use: write a literal, a const or nameof(…)",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generator reads the attribute while compiling, so that names and settings must be constants.");
}
