using System.Collections.Concurrent;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Fossil.Analyzers.Training;

/// <summary>
/// The bodies of a class that keeps an adapted model in a read-only member: the adapters that its constructor attaches are on the model in each method.
/// </summary>
internal sealed class ClassEvents(INamedTypeSymbol type, TrainingTypes types)
{
    private readonly ConcurrentQueue<BlockEvents> bodies = new();

    /// <summary>Whether <paramref name="type"/> keeps an adapted model for good.</summary>
    public static bool IsKeeper(INamedTypeSymbol type, TrainingTypes types) =>
        type.GetMembers().Any(member => member is IFieldSymbol { IsReadOnly: true, IsStatic: false } field && types.IsAdapted(field.Type));

    /// <summary>The events of one body; null where it is no instance member's.</summary>
    public BlockEvents? Add(ISymbol owner)
    {
        if (owner.IsStatic || !SymbolEqualityComparer.Default.Equals(owner.ContainingType, type)) return null;
        var events = new BlockEvents(types, owner);
        bodies.Enqueue(events);
        return events;
    }

    /// <summary>Checks the methods, where the constructor attaches whatever its arguments are.</summary>
    public void Check(Action<Diagnostic> report)
    {
        foreach (var body in bodies) body.Complete();
        var construction = bodies.Where(body => body.IsConstruction).ToList();
        var attached = construction.SelectMany(body => body.Of(EventKind.Attach).Where(IsCertain).SelectMany(attach => body.NamesOf(attach.Subject).Select(name => attach with { Subject = name }))).ToList();
        if (attached.Count == 0 || bodies.Any(MayDetach)) return;
        foreach (var body in bodies)
        {
            // A method that the constructor calls may run before the adapters are attached.
            if (body.IsConstruction || body.Of(EventKind.Attach).Any() || construction.Any(constructor => constructor.Calls(body.Owner))) continue;
            body.AttachedBefore = attached;
            OptimizerOverAllParameters.Check(body, report);
            if (!bodies.Any(other => other != body && other.Of(EventKind.Merge).Any())) WholeModelSaved.Check(body, report);
        }
    }

    /// <summary>Whether each object of the class is made with this step.</summary>
    private bool IsCertain(BlockEvent attach) =>
        attach.Result is { IsReadOnly: true } && SourceOrder.IsUnconditional(attach.At)
        && (attach.At.FirstAncestorOrSelf<ConstructorDeclarationSyntax>() is null || type.InstanceConstructors.Length == 1);

    private static bool MayDetach(BlockEvents body) =>
        body.Of(EventKind.HandOver).Any() || (body.Of(EventKind.Detach).Any() && body.Owner.Name is not ("Dispose" or "DisposeAsync"));
}
