using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Shapes;

/// <summary>FOSSIL005: A width that the shard size does not divide.</summary>
internal static class WidthNotDivisible
{
    public const string Id = "FOSSIL005";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Width is not divisible by the shard size",
        "The {2} width of {0} in '{1}' is {3}, which shard size {4} does not divide: {5}{6}",
        RuleDescriptor.Shape,
        DiagnosticSeverity.Error,
        "In Balance and Mini the shard size divides the input width, in Bat the input and the output width. Widths are followed from the constants of the code to the layer.");
}
