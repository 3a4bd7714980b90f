using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Uses;

/// <summary>Follows, class by class, what the modules of a compilation assign and register.</summary>
internal sealed class Registrations(Compilation compilation, WellKnownTypes types)
{
    private readonly DerivedClasses derived = new(compilation);
    private readonly ParentModules parents = new(compilation, types);

    /// <summary>Reports the members of a class that are assigned and not registered.</summary>
    /// <param name="context">The class.</param>
    /// <param name="members">The members to look at, when all operations of the class have been seen.</param>
    /// <param name="report">Reports one.</param>
    public void Follow(SymbolStartAnalysisContext context, Func<Registration, IEnumerable<HeldMember>> members, Action<SymbolAnalysisContext, MissingRegistration> report)
    {
        var type = (INamedTypeSymbol)context.Symbol;
        // A derived class may register what its base assigns; a base class in another assembly may do anything.
        if (!types.IsModule(type) || derived.Has(type, context.CancellationToken) || !BasesAreKnown(type)) return;
        var registration = new Registration(type, types, parents, context.CancellationToken);
        context.RegisterOperationAction(operation => registration.Visit(operation.Operation, operation.ContainingSymbol), Registration.Kinds);
        context.RegisterSymbolEndAction(end =>
        {
            foreach (var missing in registration.Missing(members(registration))) report(end, missing);
        });
    }

    private bool BasesAreKnown(INamedTypeSymbol type)
    {
        for (var level = type.BaseType; level is not null && level.SpecialType != SpecialType.System_Object; level = level.BaseType)
        {
            if (level.DeclaringSyntaxReferences.IsEmpty) return WellKnownTypes.Same(level.ContainingAssembly, types.Module.ContainingAssembly);
        }
        return true;
    }
}
