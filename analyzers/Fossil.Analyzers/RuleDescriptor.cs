using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers;

/// <summary>Makes the descriptors: each has its help page.</summary>
internal static class RuleDescriptor
{
    /// <summary>The category of rules about <c>[FossilAdapt]</c> and the class that it stands on.</summary>
    public const string Annotation = "Fossil.Annotation";

    /// <summary>The category of rules about the widths of targets.</summary>
    public const string Shape = "Fossil.Shape";

    /// <summary>The category of rules about the code that uses targets and adapted models.</summary>
    public const string Usage = "Fossil.Usage";

    /// <summary>The message of rules that report what a setting's declaration says is wrong, as the run time does.</summary>
    public const string Explained = "{0}";

    private const string HelpPages = "https://github.com/fossil-gen/Fossil.Gen/blob/main/docs/rules/";

    public static DiagnosticDescriptor Create(
        string id, string title, string message, string category, DiagnosticSeverity severity, string description, params string[] tags) =>
        new(id, title, message, category, severity, isEnabledByDefault: true, description, $"{HelpPages}{id}.md", tags);
}
