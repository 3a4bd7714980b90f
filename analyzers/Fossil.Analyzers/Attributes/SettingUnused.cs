using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL015: A setting without effect.</summary>
internal static class SettingUnused
{
    public const string Id = "FOSSIL015";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Setting has no effect on the variant",
        "{0} has no effect with the variant {1}: remove it, or choose another variant",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "MiniSize belongs to Mini; Dropout and AllowPadding belong to Balance and Mini.");
}
