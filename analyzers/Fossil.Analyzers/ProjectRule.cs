using Fossil.CodeModel;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers;

/// <summary>Rules that look at the hand-written code of a project, where that knows TorchSharp and the annotation.</summary>
public abstract class ProjectRule : DiagnosticAnalyzer
{
    /// <inheritdoc/>
    public sealed override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (WellKnownTypes.From(start.Compilation) is { } types) Start(start, types);
        });
    }

    private protected abstract void Start(CompilationStartAnalysisContext context, WellKnownTypes types);
}
