using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>Names of one object in one body: <c>this.model = model</c>, <c>var gpu = model.to(device)</c>.</summary>
internal sealed class Aliases(TrainingTypes types)
{
    private const int MaxLength = 8;

    private readonly Dictionary<Subject, (Subject? Source, int Writes)> written = [];

    /// <summary>Notes what an assignment or a declaration does.</summary>
    public void Visit(IOperation operation)
    {
        switch (operation)
        {
            case ISimpleAssignmentOperation assignment when IsFollowed(assignment.Target.Type): Write(Subject.Of(assignment.Target), assignment.Value); break;
            case IVariableDeclaratorOperation { Initializer.Value: { } value } declarator when IsFollowed(declarator.Symbol.Type): Write(new Subject(declarator.Symbol, null), value); break;
        }
    }

    /// <summary>The first name of the object that <paramref name="subject"/> holds.</summary>
    public Subject? Resolve(Subject? subject)
    {
        for (var length = 0; subject is not null && length < MaxLength; length++)
        {
            // A variable that is written more than once holds several objects, and so may the one that it is a copy of.
            if (!written.TryGetValue(subject, out var write) || write is not ({ } source, 1) || WritesOf(source) > (source.Symbol is ILocalSymbol ? 1 : 0)) break;
            subject = source;
        }
        return subject;
    }

    /// <summary>The other names of the object that <paramref name="subject"/> holds.</summary>
    public IEnumerable<Subject> NamesOf(Subject subject) => written.Keys.Where(name => !Equals(name, subject) && Equals(Resolve(name), subject));

    private bool IsFollowed(ITypeSymbol? type) => types.IsModule(type) || types.IsAdapted(type);

    private int WritesOf(Subject subject) => written.TryGetValue(subject, out var write) ? write.Writes : 0;

    private void Write(Subject? target, IOperation value)
    {
        if (target is null) return;
        var source = Subject.Of(Moved(value));
        // `model = model.to(device)` is the same object again.
        if (Equals(source, target)) return;
        written[target] = (source, WritesOf(target) + 1);
    }

    /// <summary>The module behind <c>.to(…)</c> and the like, which give the module itself.</summary>
    private static IOperation Moved(IOperation value)
    {
        var current = Subject.Unwrap(value);
        while (current is IInvocationOperation { TargetMethod: { ContainingAssembly.Name: WellKnownNames.TorchSharpAssembly } method } invocation
            && TrainingTypes.IsMove(method) && TrainingTypes.ReceiverOf(invocation) is { } receiver)
        {
            current = Subject.Unwrap(receiver);
        }
        return current;
    }
}
