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

    /// <summary>Whether <c>InterceptorsNamespaces</c> contains <see cref="WellKnownNames.GeneratedNamespace"/> or a namespace around it.</summary>
    public static bool InterceptorsEnabled(AnalyzerConfigOptions globalOptions)
    {
        if (!globalOptions.TryGetValue(WellKnownNames.InterceptorsNamespacesProperty, out var namespaces)) return false;
        return namespaces.Split([';', ','], StringSplitOptions.RemoveEmptyEntries).Select(name => name.Trim()).Any(name =>
            name == WellKnownNames.GeneratedNamespace || WellKnownNames.GeneratedNamespace.StartsWith(name + ".", StringComparison.Ordinal));
    }
}
