using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Shapes;

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
