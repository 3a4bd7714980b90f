using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL036: a target whose type has no matrix that an adapter could change.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class TargetWithoutMatrix : ClassRule
{
    internal const string Id = "FOSSIL036";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target has no matrix to adapt",
        "Target '{0}' of '{1}' is of type {2}, which has no weight of shape (out, in) applied to its input, so it gets no adapter: name the Linear layers instead",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "An adapter changes the matrix of a linear map. Of TorchSharp's own layers, that is Linear, and for LoRA Embedding, which is named with OnRequest = true; activations, dropout, convolutions, norms and Sequential have none.");

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
