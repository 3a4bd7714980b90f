using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL004: A shard size below one.</summary>
internal static class ShardSizeNotPositive
{
    public const string Id = "FOSSIL004";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Shard size is not positive",
        "Shard size {0} is not positive: use 1 or more (64 is the default)",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The shard size r is the number of rows of the trained shard. The input width must be a multiple of it.");
}
