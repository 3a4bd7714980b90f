using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Generators.CallSites;

/// <summary>
/// Proves that calls of several targets of one object read the same value: the same local variable or parameter, one call behind the other without a branch, and between them nothing but what is known
/// neither to change that value, the targets or the state of the library, nor to depend on whether it runs before or after. What is not known ends the proof, and the calls stay single.
/// </summary>
internal sealed class SharedInputs(TargetIndex index, SyntaxTree tree)
{
    private readonly Dictionary<SyntaxNode, EquatableArray<string>> groups = [];
    private readonly HashSet<SyntaxNode> sites = [];
    private readonly List<(SyntaxNode Site, string Member)> open = [];
    private ISymbol? value;
    private ISymbol? owner;

    /// <summary>The members whose calls read the same value as a call does, its own among them, by the call's syntax; calls that stay single are not there.</summary>
    /// <param name="body">A method's or an accessor's body.</param>
    /// <param name="rewired">The calls in it that are rewired.</param>
    /// <param name="index">The targets.</param>
    public static IReadOnlyDictionary<SyntaxNode, EquatableArray<string>> Find(IOperation body, IEnumerable<SyntaxNode> rewired, TargetIndex index)
    {
        var proof = new SharedInputs(index, body.Syntax.SyntaxTree);
        proof.sites.UnionWith(rewired);
        proof.Walk(body);
        proof.Close();
        return proof.groups;
    }

    /// <summary>Follows <paramref name="operation"/> in the order of evaluation.</summary>
    private void Walk(IOperation operation)
    {
        if (HarmlessOperations.IsStraight(operation))
        {
            foreach (var child in operation.ChildOperations) Walk(child);
            Pass(operation);
            return;
        }

        // Its parts may run or not, or many times, or later; each may have groups of its own.
        Close();
        foreach (var child in operation.ChildOperations)
        {
            Walk(child);
            Close();
        }
    }

    private void Pass(IOperation operation)
    {
        if (operation is IInvocationOperation invocation && sites.Contains(invocation.Syntax)) PassSite(invocation);
        else if (open.Count > 0 && !HarmlessOperations.IsHarmless(operation, [value, owner], index.Types, tree)) Close();
    }

    private void PassSite(IInvocationOperation invocation)
    {
        if (Read(invocation) is not var (read, from, member))
        {
            Close();
            return;
        }

        if (!SymbolEqualityComparer.Default.Equals(read, value) || !SymbolEqualityComparer.Default.Equals(from, owner) || open.Exists(call => call.Member == member)) Close();
        (value, owner) = (read, from);
        open.Add((invocation.Syntax, member));
    }

    private void Close()
    {
        if (open.Count > 1)
        {
            var members = open.Select(call => call.Member).ToEquatableArray();
            foreach (var (site, _) in open) groups[site] = members;
        }

        open.Clear();
        (value, owner) = (null, null);
    }

    /// <summary>The variable that a call reads, the variable that holds the object with the target (null for <c>this</c>), and the target's member; null for other forms.</summary>
    private (ISymbol Value, ISymbol? Owner, string Member)? Read(IInvocationOperation invocation)
    {
        if (invocation.TargetMethod.ContainingType.TypeKind == TypeKind.Interface || invocation.Arguments is not [var argument]) return null;
        if (HarmlessOperations.Variable(argument.Value) is not { } read) return null;
        var (member, instance) = HarmlessOperations.WithoutConversion(invocation.Instance!) switch
        {
            IFieldReferenceOperation { Field.IsVolatile: false } field => ((ISymbol)field.Field, field.Instance),
            IPropertyReferenceOperation { Arguments.IsEmpty: true } property when HarmlessOperations.IsPlain(property.Property, tree) => (property.Property, property.Instance),
            _ => (null, null),
        };
        if (member is null || instance is null || !index.IsTarget(member)) return null;
        var owner = HarmlessOperations.Variable(instance);
        return owner is not null || instance is IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance } ? (read, owner, member.Name) : null;
    }
}
