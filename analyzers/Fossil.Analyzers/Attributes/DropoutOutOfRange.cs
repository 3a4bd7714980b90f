using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL018: A dropout that is no probability.</summary>
internal static class DropoutOutOfRange
{
    public const string Id = "FOSSIL018";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Dropout is not a probability below 1",
        "Dropout {0} is not in the range from 0 to below 1: it is the probability that an element of the input is zeroed while training",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "With a dropout of 1 nothing would be left to learn from.");
}
