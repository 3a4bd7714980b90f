using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Generators;

/// <summary>What the project allows the generator to emit.</summary>
/// <param name="CanGenerate">Whether the language version has what generated code uses.</param>
/// <param name="CanIntercept">Whether the compiler accepts interceptors in <see cref="WellKnownNames.GeneratedNamespace"/>.</param>
internal sealed record GenerationOptions(bool CanGenerate, bool CanIntercept)
{
    public static GenerationOptions From(ParseOptions parseOptions, AnalyzerConfigOptionsProvider configuration)
    {
        var canGenerate = GenerationRequirements.IsSupported(parseOptions);
        return new GenerationOptions(canGenerate, canGenerate && GenerationRequirements.InterceptorsEnabled(parseOptions, configuration.GlobalOptions));
    }
}
