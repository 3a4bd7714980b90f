using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Shapes;

/// <summary>FOSSIL017: An output width that the mini size does not divide.</summary>
internal static class WidthNotDivisibleByMiniSize
{
    public const string Id = "FOSSIL017";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Output width is not divisible by the mini size",
        "The output width of {0} in '{1}' is {2}, which mini size {3} does not divide: {4}{5}",
        RuleDescriptor.Shape,
        DiagnosticSeverity.Error,
        "In the variant Mini the shard has MiniSize columns, which are tiled along the output.");
}
