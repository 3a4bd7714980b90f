using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL027: an <c>[AdapterWidths]</c> that names nothing.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class AdapterWidthsUnknown : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        if (context.Compilation.GetTypeByMetadataName(WellKnownNames.AdapterWidthsAttribute) is { } widths)
        {
            context.RegisterSymbolAction(symbol => Analyze(symbol, widths), SymbolKind.NamedType);
        }
    }

    private static void Analyze(SymbolAnalysisContext context, INamedTypeSymbol widths)
    {
        var type = (INamedTypeSymbol)context.Symbol;
        foreach (var attribute in type.GetAttributes())
        {
            if (!WellKnownTypes.Same(attribute.AttributeClass, widths)) continue;
            foreach (var argument in attribute.ConstructorArguments)
            {
                if (argument.Kind == TypedConstantKind.Error || argument.Value is not string name || Names(type, name)) continue;
                var location = attribute.ApplicationSyntaxReference?.GetSyntax(context.CancellationToken).GetLocation();
                context.ReportDiagnostic(Diagnostic.Create(Descriptor, location, type.Name, name));
            }
        }
    }

    private static bool Names(INamedTypeSymbol type, string name)
    {
        if (type.InstanceConstructors.Any(constructor => constructor.Parameters.Any(parameter => parameter.Name == name))) return true;
        for (var level = type; level is not null; level = level.BaseType)
        {
            if (level.GetMembers(name).Any(member => member is IFieldSymbol or IPropertySymbol)) return true;
        }
        return false;
    }
}
