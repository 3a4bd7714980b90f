using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Shapes;

// The rules that WidthReport reports.

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

/// <summary>FOSSIL025: One layer under two targets.</summary>
internal static class LayerSharedByTargets
{
    public const string Id = "FOSSIL025";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "One layer is in two targets",
        "'{0}' and '{1}' of '{2}' hold the same layer: it would get two adapters, and moving the model would break its parameters; make a layer for each, or name one of them",
        RuleDescriptor.Shape,
        DiagnosticSeverity.Warning,
        "The same parameter registered twice breaks Module.to, and two adapters on one weight are not what the attribute says.");
}

/// <summary>FOSSIL026: A width that is not known at compile time.</summary>
internal static class WidthCheckedAtRunTime
{
    public const string Id = "FOSSIL026";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Width is checked at run time only",
        "The {2} width of '{0}' in '{1}' is not known here, because {3}: it is checked where the class is constructed with known values, and otherwise by AttachAdapters",
        RuleDescriptor.Shape,
        DiagnosticSeverity.Hidden,
        "Nothing is wrong. The note says which widths the compiler cannot check.");
}
