using System.Collections.Immutable;
using Fossil.CodeModel;
using Fossil.CodeModel.Widths;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Shapes;

/// <summary>
/// Interprets each body that may construct an annotated class and checks the widths of the targets. A body is reported for what it decides
/// itself; what a constructor or helper does whatever its arguments are is reported there.
/// </summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class TargetWidthAnalyzer : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } =
    [
        WidthNotDivisible.Descriptor, WidthNotDivisibleByMiniSize.Descriptor, ShardLargerThanInput.Descriptor, WidthCheckedAtRunTime.Descriptor,
        LayerSharedByTargets.Descriptor,
    ];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        var reach = ConstructionReach.Of(context.Compilation, context.CancellationToken);
        var widths = WidthAnalysis.Of(context.Compilation, types);
        context.RegisterSymbolAction(symbol => AnalyzeConstructors(symbol, widths, types, reach), SymbolKind.NamedType);
        context.RegisterOperationBlockAction(block => AnalyzeBody(block, widths, types, reach));
    }

    private static void AnalyzeConstructors(SymbolAnalysisContext context, WidthAnalysis widths, WellKnownTypes types, ConstructionReach reach)
    {
        var type = (INamedTypeSymbol)context.Symbol;
        if (type.TypeKind is not (TypeKind.Class or TypeKind.Struct) || type.IsStatic) return;
        if (!type.DeclaringSyntaxReferences.Any(reference => reach.ContainsConstruction(reference.GetSyntax(context.CancellationToken)))) return;
        var report = new WidthReport(types, context.ReportDiagnostic, context.CancellationToken);
        foreach (var constructor in type.InstanceConstructors)
        {
            if (constructor.IsImplicitlyDeclared && constructor.Parameters.Length > 0) continue;
            var seen = widths.OfConstructor(constructor, context.CancellationToken);
            report.Check(seen);
            report.CheckShared(seen, type);
            report.NoteUnknown(seen, type);
        }
        report.Flush();
    }

    private static void AnalyzeBody(OperationBlockAnalysisContext context, WidthAnalysis widths, WellKnownTypes types, ConstructionReach reach)
    {
        var owner = context.OwningSymbol;
        var isBody = owner switch
        {
            IMethodSymbol method => method.MethodKind != MethodKind.Constructor,
            IFieldSymbol or IPropertySymbol => owner.IsStatic,
            _ => false,
        };
        if (!isBody || context.OperationBlocks.IsEmpty || !reach.Contains(context.OperationBlocks[0].Syntax)) return;
        var report = new WidthReport(types, context.ReportDiagnostic, context.CancellationToken);
        report.Check(widths.OfBody(owner, context.OperationBlocks.Where(block => block is not IAttributeOperation), context.CancellationToken));
        report.Flush();
    }
}
