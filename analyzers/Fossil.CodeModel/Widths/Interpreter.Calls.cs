using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Calls: of methods in source, of known methods of the libraries, and of all others.</content>
internal sealed partial class Interpreter
{
    private Value Call(IInvocationOperation invocation)
    {
        var method = invocation.TargetMethod;
        var receiver = invocation.Instance is { } instance ? Evaluate(instance) : null;
        if (state is null) return NotFollowed;
        // `config.MakeLayer()`: the receiver carries what it holds, as an argument does.
        if (receiver is Reference && frame.Depth == 0 && invocation.Instance is not IInstanceReferenceOperation) receiver = receiver.WithFrom(new Provenance(0, invocation.Instance!.Syntax));
        var arguments = Arguments(invocation.Arguments);
        if (state is null) return NotFollowed;
        using var _ = EnterCall(invocation.Syntax);

        if (receiver is Function function && method.MethodKind == MethodKind.DelegateInvoke)
        {
            return DecidedBy(function.From, [.. arguments.Select(argument => argument.Value)], Apply(function, arguments.Select(argument => argument.Value)));
        }
        if (method.MethodKind == MethodKind.LocalFunction && source.BodyOf(method, cancellationToken) is { } local)
        {
            return CopyBack(invocation, Invoke(method, local, null, frame, arguments));
        }
        if (KnownCall(invocation, method, receiver, arguments) is { } known) return known;
        if (CallOfTypeParameter(invocation, arguments) is { } constrained) return constrained;

        if (Actual(method, receiver, IsBaseAccess(invocation.Instance)) is { } actual && source.BodyOf(actual, cancellationToken) is { } body)
        {
            var bound = actual.Parameters.Length == arguments.Count && !Same(actual.OriginalDefinition, method.OriginalDefinition)
                ? arguments.Select(argument => (actual.OriginalDefinition.Parameters[argument.Parameter.Ordinal], argument.Value)).ToList()
                : arguments;
            var result = CopyBack(invocation, Invoke(actual, body, receiver, null, bound));
            var isFixed = IsBaseAccess(invocation.Instance) || !(method.IsVirtual || method.IsAbstract || method.IsOverride);
            return isFixed || receiver is null ? result : DecidedBy(new Provenance(ObjectOf(receiver)?.MadeDepth ?? int.MaxValue, null), [receiver, .. arguments.Select(argument => argument.Value)], result);
        }

        GiveToOthers(method, receiver, arguments.Select(argument => argument.Value).ToList());
        foreach (var argument in invocation.Arguments)
        {
            if (argument.Parameter?.RefKind is RefKind.Out or RefKind.Ref) Assign(argument.Value, new Unknown(UnknownReason.Call, method.Name));
        }
        return new Unknown(UnknownReason.Call, method.MethodKind == MethodKind.DelegateInvoke ? invocation.Instance?.Syntax.ToString() : method.Name);
    }

    /// <summary>What a method that is not followed does to its receiver and arguments.</summary>
    private void GiveToOthers(IMethodSymbol method, Value? receiver, IReadOnlyList<Value> arguments)
    {
        RunByOthers(arguments);
        // A method that is given as a delegate may be called with the other arguments.
        if (!IsHarmless(method) || arguments.Any(argument => argument is Function { Body: null }))
        {
            Escape(receiver, arguments);
            return;
        }
        if (receiver is not null && ChangesElements(method)) ForgetElements(receiver);
        if (ChangesElementsOfArguments(method)) foreach (var argument in arguments) ForgetElements(argument);
    }

    /// <summary>
    /// Which code runs was decided by <paramref name="choice"/>: what it returns, and what it may have changed, is known only with it. In the
    /// analysis of a callee alone the code is not known, so nothing would be reported there.
    /// </summary>
    private Value DecidedBy(Provenance choice, ImmutableArray<Value> given, Value result)
    {
        if (choice.Depth >= frame.Depth) return result;
        var seen = new HashSet<int>();
        var waiting = new Stack<Value>(given);
        while (waiting.Count > 0)
        {
            if (waiting.Pop() is not Reference reference || ObjectOf(reference) is not { } found || !seen.Add(reference.Id)) continue;
            var members = found.Members;
            foreach (var member in found.Members)
            {
                waiting.Push(member.Value);
                if (!HeapObject.IsFixed(member.Key)) members = members.SetItem(member.Key, member.Value.KnownBy(choice));
            }
            Update(reference, found with { Members = members });
        }
        return result.KnownBy(choice);
    }

    private static bool IsBaseAccess(IOperation? instance) =>
        instance is IInstanceReferenceOperation { Syntax: Microsoft.CodeAnalysis.CSharp.Syntax.BaseExpressionSyntax };

    /// <summary>The method that runs: an override where the receiver's type is exact; null where it cannot be told.</summary>
    private static IMethodSymbol? FindOverride(IMethodSymbol method, ITypeSymbol type)
    {
        for (var current = type; current is not null; current = current.BaseType)
        {
            foreach (var candidate in current.GetMembers(method.Name).OfType<IMethodSymbol>())
            {
                for (var overridden = candidate; overridden is not null; overridden = overridden.OverriddenMethod)
                {
                    if (Same(overridden.OriginalDefinition, method.OriginalDefinition)) return candidate;
                }
            }
        }
        return null;
    }

    private IMethodSymbol? Actual(IMethodSymbol method, Value? receiver, bool isBase)
    {
        if (isBase || !(method.IsVirtual || method.IsAbstract || method.IsOverride)) return method.IsExtern ? null : method;
        if (ObjectOf(receiver) is not { IsExact: true, Type: { } type }) return null;
        if (method.ContainingType.TypeKind == TypeKind.Interface) return type.FindImplementationForInterfaceMember(method) as IMethodSymbol;
        return FindOverride(method, type);
    }

    /// <summary>After a call, <c>ref</c> and <c>out</c> arguments have the values of their parameters.</summary>
    private Value CopyBack(IInvocationOperation invocation, Value result)
    {
        foreach (var argument in invocation.Arguments)
        {
            if (argument.Parameter is not { RefKind: RefKind.Out or RefKind.Ref } parameter || state is null) continue;
            Assign(argument.Value, LatestOf(parameter));
        }
        return result;
    }

    /// <summary>Calls a lambda or a method group.</summary>
    private Value Apply(Function function, IEnumerable<Value> values)
    {
        var method = function.Method;
        var body = function.Body ?? source.BodyOf(method, cancellationToken);
        var parameters = method.OriginalDefinition.Parameters;
        var arguments = values.Take(parameters.Length).Select((value, index) => (parameters[index], value)).ToList();
        if (body is null)
        {
            return KnownFactory(method, arguments, rootCall) ?? NotFollowed;
        }
        if (function.Body is null && !method.IsStatic && Actual(method, function.Receiver, false) is null) return NotFollowed;
        return Invoke(method, body, function.Receiver, function.Home, arguments);
    }
}
