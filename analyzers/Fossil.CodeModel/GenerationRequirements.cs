using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.CodeModel;

/// <summary>What a project must allow before code is generated; the analyzers report where it does not.</summary>
public static class GenerationRequirements
{
    /// <summary>The language version that generated code is written in: interceptors need file-local types.</summary>
    public const LanguageVersion MinimumLanguageVersion = LanguageVersion.CSharp11;

    /// <summary>Whether the language version of a tree or project is new enough.</summary>
    public static bool IsSupported(ParseOptions? options) => options is CSharpParseOptions { LanguageVersion: >= MinimumLanguageVersion };

    /// <summary>
    /// Whether <c>InterceptorsNamespaces</c> contains <see cref="WellKnownNames.GeneratedNamespace"/> or a namespace around it. The compiler's own
    /// option says so, and so does the property that the package passes on (with commas: a semicolon starts a comment in the file that carries it).
    /// </summary>
    public static bool InterceptorsEnabled(ParseOptions? options, AnalyzerConfigOptions globalOptions) =>
        (options is not null && options.Features.TryGetValue(WellKnownNames.InterceptorsFeature, out var feature) && Contains(feature))
        || (globalOptions.TryGetValue(WellKnownNames.InterceptorsNamespacesProperty, out var property) && Contains(property));

    private static bool Contains(string namespaces) =>
        namespaces.Split([';', ','], StringSplitOptions.RemoveEmptyEntries).Select(name => name.Trim()).Any(name =>
            name == WellKnownNames.GeneratedNamespace || WellKnownNames.GeneratedNamespace.StartsWith(name + ".", StringComparison.Ordinal));
}
