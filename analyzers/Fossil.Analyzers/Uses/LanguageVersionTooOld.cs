using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL035: a language version that generated code cannot be written in.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class LanguageVersionTooOld : DiagnosticAnalyzer
{
    internal const string Id = "FOSSIL035";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Language version is too old",
        "Class '{0}' is marked [FossilAdapt], but the project's C# version is older than 11, which the generated code needs: set LangVersion to 11 or later, or remove it",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Error,
        "Interceptors are file-local types, which came with C# 11. The .NET 10 SDK uses C# 14 where a project does not ask for another.");

    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (WellKnownTypes.From(start.Compilation) is not { } types) return;
            start.RegisterSymbolAction(
                symbol =>
                {
                    var type = (INamedTypeSymbol)symbol.Symbol;
                    if (!AdaptedClassParser.IsAnnotated(type, types) || type.Locations is not [{ SourceTree: { } tree } location, ..]) return;
                    if (!GenerationRequirements.IsSupported(tree.Options)) symbol.ReportDiagnostic(Diagnostic.Create(Descriptor, location, type.Name));
                },
                SymbolKind.NamedType);
        });
    }
}
