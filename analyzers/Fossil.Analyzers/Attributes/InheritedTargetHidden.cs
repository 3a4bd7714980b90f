using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Attributes;

/// <summary>FOSSIL022: a target of a base class that a derived class hides, overrides or names again.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class InheritedTargetHidden : ClassRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Analyze(SymbolAnalysisContext context, INamedTypeSymbol type, WellKnownTypes types)
    {
        if (type.TypeKind != TypeKind.Class || !types.IsModule(type.BaseType)) return;
        var own = AdaptedClassParser.Parse(type, types, context.CancellationToken);
        for (var level = type.BaseType; level is not null && !WellKnownTypes.Same(level, types.Module); level = level.BaseType)
        {
            if (!AdaptedClassParser.IsAnnotated(level.OriginalDefinition, types)) continue;
            if (AdaptedClassParser.Parse(level.OriginalDefinition, types, context.CancellationToken) is not { } inherited) continue;
            foreach (var target in inherited.Targets)
            {
                if (type.GetMembers(target.Member).FirstOrDefault(member => member is IFieldSymbol or IPropertySymbol && !member.IsImplicitlyDeclared) is { } member)
                {
                    var what = member.IsOverride ? "overrides it, so that the adapter goes to the value of the override" : "hides it, so that the adapter stays with the hidden one; give the member another name";
                    context.ReportDiagnostic(Diagnostic.Create(Descriptor, member.Locations.FirstOrDefault(), target.Member, level.Name, type.Name, what));
                }
                else if (own?.Targets.FirstOrDefault(mine => mine.Member == target.Member) is { } again)
                {
                    var location = AttributeSyntaxLocator.Locate(type, types, again, context.CancellationToken);
                    context.ReportDiagnostic(Diagnostic.Create(Descriptor, location, target.Member, level.Name, type.Name, "names it again; remove the name here"));
                }
            }
        }
    }
}
