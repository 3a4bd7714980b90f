using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL006: a target that the class assigns but never registers with the model.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class TargetNotRegistered : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        var registrations = new Registrations(context.Compilation, types);
        context.RegisterSymbolStartAction(symbol => AnalyzeClass(symbol, types, registrations), SymbolKind.NamedType);
    }

    private static void AnalyzeClass(SymbolStartAnalysisContext context, WellKnownTypes types, Registrations registrations)
    {
        var type = (INamedTypeSymbol)context.Symbol;
        if (AdaptedClassParser.Parse(type, types, context.CancellationToken) is not { } parsed || parsed.Targets.IsEmpty) return;
        var targets = parsed.Targets.Select(target => new HeldMember(target.Member, target.Kind is TargetKind.Array or TargetKind.Sequence or TargetKind.Dictionary, target.Kind == TargetKind.Dictionary)).ToList();
        registrations.Follow(context, _ => targets, (end, missing) =>
            end.ReportDiagnostic(Diagnostic.Create(Descriptor, missing.Location, missing.Properties, missing.Member, type.Name, missing.Advice)));
    }
}
