using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL016: A mini size below one.</summary>
internal static class MiniSizeNotPositive
{
    public const string Id = "FOSSIL016";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Mini size is not positive",
        "Mini size {0} is not positive: use 1 or more, and a divisor of the output width",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The mini size m is the width of the trained shard in the variant Mini, which is tiled along the output.");
}
