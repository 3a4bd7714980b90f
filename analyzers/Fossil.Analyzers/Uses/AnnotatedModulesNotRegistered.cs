using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL039: a module that holds annotated ones and does not register them, so that none of their targets is found.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class AnnotatedModulesNotRegistered : ProjectRule
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
        var targets = AdaptedClassParser.Parse(type, types, context.CancellationToken)?.Targets.Select(target => target.Member).ToList() ?? [];
        var members = type.GetMembers().Where(member => !member.IsStatic && member is IFieldSymbol { IsImplicitlyDeclared: false } or IPropertySymbol { IsIndexer: false } && !targets.Contains(member.Name)).ToList();
        if (members.Count == 0) return;
        var held = new Dictionary<string, string>();
        registrations.Follow(context, Held, (end, missing) => end.ReportDiagnostic(Diagnostic.Create(Descriptor, missing.Location, missing.Properties, missing.Member, type.Name, held[missing.Member], missing.Advice)));

        IEnumerable<HeldMember> Held(Registration registration)
        {
            foreach (var member in members)
            {
                var memberType = member is IFieldSymbol field ? field.Type : ((IPropertySymbol)member).Type;
                // A field of a general type says less than what is made for it.
                var created = registration.ValuesOf(member.Name).SelectMany(value => value.DescendantsAndSelf()).OfType<IObjectCreationOperation>().Select(creation => creation.Type);
                if (created.Prepend(memberType).Select(one => AnnotatedIn(one, types, [])).FirstOrDefault(one => one is not null) is not { } annotated) continue;
                held[member.Name] = annotated.Name;
                yield return new HeldMember(member.Name, !types.IsModule(memberType), types.ModuleOfDictionary(memberType) is not null);
            }
        }
    }

    /// <summary>An annotated class of which a value of a type is, or which it holds; null where none is known.</summary>
    private static INamedTypeSymbol? AnnotatedIn(ITypeSymbol? type, WellKnownTypes types, HashSet<string> visited)
    {
        switch (type)
        {
            case IArrayTypeSymbol array: return AnnotatedIn(array.ElementType, types, visited);
            case ITypeParameterSymbol parameter: return First(parameter.ConstraintTypes);
            case not INamedTypeSymbol or { TypeKind: TypeKind.Delegate }: return null;
        }
        var named = (INamedTypeSymbol)type;
        if (First(named.TypeArguments) is { } argument) return argument;
        if (!types.IsModule(named) || !visited.Add(named.ToDisplayString())) return null;
        for (var level = named; level is not null && !WellKnownTypes.Same(level.ContainingAssembly, types.Module.ContainingAssembly); level = level.BaseType)
        {
            if (AdaptedClassParser.IsAnnotated(level, types)) return level;
            if (First(level.GetMembers().OfType<IFieldSymbol>().Where(field => !field.IsStatic).Select(field => field.Type)) is { } inner) return inner;
        }
        return null;

        INamedTypeSymbol? First(IEnumerable<ITypeSymbol> parts) => parts.Select(part => AnnotatedIn(part, types, visited)).FirstOrDefault(one => one is not null);
    }
}
