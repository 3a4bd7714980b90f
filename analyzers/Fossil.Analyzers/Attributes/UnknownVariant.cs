using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL019: A variant that does not exist.</summary>
internal static class UnknownVariant
{
    public const string Id = "FOSSIL019";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Variant does not exist",
        "{0} is no FossilVariant: use Balance, Mini or Bat",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "A cast number is a constant of the enumeration's type without being one of its members.");
}
