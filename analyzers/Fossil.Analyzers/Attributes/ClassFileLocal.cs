using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL014: A class that no other file can name.</summary>
internal static class ClassFileLocal
{
    public const string Id = "FOSSIL014";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Annotated class is local to its file",
        "Class '{0}' is local to its file, so the generated part, which is another file, cannot be added: remove 'file' from the declaration",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "Generated code is a file of its own and cannot name a type with the modifier 'file'.");
}
