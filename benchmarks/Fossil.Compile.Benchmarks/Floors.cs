using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Compile.Benchmarks;

/// <summary>What a driver costs without any generator's own work.</summary>
internal sealed class EmptyGenerator : IIncrementalGenerator
{
    public void Initialize(IncrementalGeneratorInitializationContext context) => context.RegisterSourceOutput(context.ParseOptionsProvider, static (_, _) => { });
}

/// <summary>What it costs to ask the driver for the annotated classes and to add a file for each, as most generators do.</summary>
internal sealed class AttributeGenerator : IIncrementalGenerator
{
    public void Initialize(IncrementalGeneratorInitializationContext context) => context.RegisterSourceOutput(
        context.SyntaxProvider.ForAttributeWithMetadataName("Fossil.FossilAdaptAttribute", static (_, _) => true, static (attributed, _) => attributed.TargetSymbol.MetadataName),
        static (output, name) => output.AddSource($"{name}.g.cs", "// Nothing."));
}

/// <summary>What any analyzer of method bodies makes the compiler do, whatever it does itself.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
internal sealed class EmptyAnalyzer : DiagnosticAnalyzer
{
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [new("EMPTY", "Empty", "Empty", "Empty", DiagnosticSeverity.Warning, true)];

    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterOperationAction(static _ => { }, OperationKind.Invocation);
    }
}
