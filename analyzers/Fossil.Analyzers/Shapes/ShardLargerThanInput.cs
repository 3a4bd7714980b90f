using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Shapes;

/// <summary>FOSSIL020: A shard size above the input width.</summary>
internal static class ShardLargerThanInput
{
    public const string Id = "FOSSIL020";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Shard size is larger than the input width",
        "Shard size {2} is larger than {3}, the input width of {0} in '{1}'{4}",
        RuleDescriptor.Shape,
        DiagnosticSeverity.Error,
        "A shard with more rows than the layer has inputs has nothing to share: with padding it trains more than it needs, without padding it is an error.");
}
