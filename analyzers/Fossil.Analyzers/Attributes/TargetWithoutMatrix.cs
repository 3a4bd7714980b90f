using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL036: a target whose type has no matrix that an adapter could change.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class TargetWithoutMatrix : ClassRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types)
    {
        if (AdaptedClassParser.Parse(type, types, context.CancellationToken) is not { } parsed) return;
        foreach (var target in parsed.Targets)
        {
            if (TargetMembers.Find(type, target.Member) is not { } member || TargetMembers.ReadableType(member) is not { } memberType) continue;
            // Module<Tensor, Tensor> itself says nothing, and a custom layer may have a matrix.
            if (TargetMembers.ModuleType(memberType, types) is not INamedTypeSymbol { TypeKind: TypeKind.Class, IsAbstract: false } layer) continue;
            if (layer.ContainingAssembly?.Name != WellKnownNames.TorchSharpAssembly || WellKnownTypes.Same(layer, types.Linear)) continue;
            if (target.Settings.OnRequest && WellKnownTypes.Same(layer, types.Embedding)) continue;
            var location = AttributeSyntaxLocator.Locate(type, types, target, context.CancellationToken);
            context.ReportDiagnostic(Diagnostic.Create(Descriptor, location, target.Member, type.Name, layer.Name));
        }
    }
}
