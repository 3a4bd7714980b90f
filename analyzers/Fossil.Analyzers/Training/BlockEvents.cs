using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Training;

/// <summary>What happens in one body to an adapted model.</summary>
internal enum EventKind
{
    /// <summary><c>model.AttachAdapters()</c> or <c>model.LoadPretrained(folder)</c>.</summary>
    Attach,

    /// <summary>A TorchSharp optimizer over the parameters of a module.</summary>
    MakeOptimizer,

    /// <summary>A use of an optimizer.</summary>
    UseOptimizer,

    /// <summary><c>model.to(…)</c> and the like.</summary>
    Move,

    /// <summary><c>adapted.Merge()</c> or <c>MergeAndUnload()</c>.</summary>
    Merge,

    /// <summary><c>adapted.Unmerge()</c>.</summary>
    Unmerge,

    /// <summary><c>loss.backward()</c> or <c>optimizer.step()</c>.</summary>
    Train,

    /// <summary><c>model.save(path)</c>.</summary>
    Save,
}

/// <summary>One event.</summary>
/// <param name="Kind">What happens.</param>
/// <param name="Subject">The variable or member that holds the model, adapted model or optimizer; null where it is none.</param>
/// <param name="Result">The variable or member that the result goes to.</param>
/// <param name="Operation">Where.</param>
internal sealed record BlockEvent(EventKind Kind, ISymbol? Subject, ISymbol? Result, IOperation Operation)
{
    /// <summary>The parameters that an optimizer is made over.</summary>
    public IOperation? Parameters { get; init; }

    /// <summary>
    /// Whether this happens before <paramref name="later"/> on each way there that does not leave the statements around this one.
    /// </summary>
    public bool Precedes(BlockEvent later)
    {
        var here = Operation.Syntax;
        var there = later.Operation.Syntax;
        if (here.SpanStart >= there.SpanStart || here.SyntaxTree != there.SyntaxTree) return false;
        var around = here.FirstAncestorOrSelf<StatementSyntax>()?.Parent;
        if (around is GlobalStatementSyntax) around = around.Parent;
        return around is not null && around.Span.Contains(there.Span);
    }
}

/// <summary>The events of one body, in the order of the source.</summary>
internal sealed class BlockEvents(TrainingTypes types)
{
    private readonly List<BlockEvent> events = [];

    public IReadOnlyList<BlockEvent> InOrder => [.. events.OrderBy(one => one.Operation.Syntax.SpanStart)];

    public IEnumerable<BlockEvent> Of(EventKind kind) => InOrder.Where(one => one.Kind == kind);

    /// <summary>Adds what <paramref name="operation"/> does. Bodies are visited concurrently, one body is not.</summary>
    public void Visit(IOperation operation)
    {
        if (Read(operation) is not { } found) return;
        lock (events) events.Add(found);
    }

    private BlockEvent? Read(IOperation operation)
    {
        if (operation is ILocalReferenceOperation or IFieldReferenceOperation or IParameterReferenceOperation)
        {
            return types.IsOptimizer(operation.Type) && !IsTarget(operation) ? new BlockEvent(EventKind.UseOptimizer, SymbolOf(operation), null, operation) : null;
        }
        if (types.IsOptimizer(operation.Type) && MadeOver(operation) is { } parameters)
        {
            return new BlockEvent(EventKind.MakeOptimizer, SymbolOf(parameters.Instance), ResultOf(operation), operation) { Parameters = parameters };
        }
        if (operation is not IInvocationOperation invocation) return null;
        var method = invocation.TargetMethod;
        var receiver = invocation.Instance ?? (method.IsExtensionMethod ? invocation.Arguments.FirstOrDefault()?.Value : null);
        if (method.Name is "AttachAdapters" or "LoadPretrained" && types.IsAdapted(method.ReturnType)) return Event(EventKind.Attach);
        if (types.IsAdapted(method.ContainingType))
        {
            return method.Name switch { "Merge" or "MergeAndUnload" => Event(EventKind.Merge), "Unmerge" => Event(EventKind.Unmerge), _ => null };
        }
        if (method.ContainingAssembly?.Name != "TorchSharp") return null;
        if (method.Name == "backward" && types.IsTensor(receiver?.Type)) return Event(EventKind.Train);
        if (method.Name == "step" && types.IsOptimizer(receiver?.Type)) return Event(EventKind.Train);
        if (!types.IsModule(receiver?.Type)) return null;
        return method.Name switch
        {
            "to" or "cuda" or "cpu" or "half" or "type" => Event(EventKind.Move),
            "save" => Event(EventKind.Save),
            _ => null,
        };

        BlockEvent Event(EventKind kind) => new(kind, SymbolOf(receiver), ResultOf(operation), operation);
    }

    /// <summary>The call of <c>parameters()</c> or <c>named_parameters()</c> that is the first argument.</summary>
    private IInvocationOperation? MadeOver(IOperation operation)
    {
        var arguments = operation switch
        {
            IInvocationOperation { TargetMethod.ContainingAssembly.Name: "TorchSharp", TargetMethod.IsStatic: true } invocation => invocation.Arguments,
            IObjectCreationOperation creation => creation.Arguments,
            _ => [],
        };
        return arguments.Select(argument => Unwrap(argument.Value)).OfType<IInvocationOperation>().FirstOrDefault(invocation =>
            invocation.TargetMethod.Name is "parameters" or "named_parameters" && types.IsModule(invocation.Instance?.Type));
    }

    private static bool IsTarget(IOperation reference) => reference.Parent is IAssignmentOperation assignment && ReferenceEquals(assignment.Target, reference);

    private static IOperation Unwrap(IOperation value) => value switch
    {
        IConversionOperation conversion => Unwrap(conversion.Operand),
        IParenthesizedOperation parenthesized => Unwrap(parenthesized.Operand),
        _ => value,
    };

    /// <summary>The variable or member that an expression names; the model of <c>adapted.Model</c> is that of the adapted model.</summary>
    public static ISymbol? SymbolOf(IOperation? value) => value is null ? null : Unwrap(value) switch
    {
        ILocalReferenceOperation local => local.Local,
        IParameterReferenceOperation parameter => parameter.Parameter,
        IFieldReferenceOperation field => field.Field,
        IPropertyReferenceOperation { Property.Name: "Model" } property when property.Property.ContainingType?.Name == "AdaptedModel" => SymbolOf(property.Instance),
        IPropertyReferenceOperation property => property.Property,
        _ => null,
    };

    private static ISymbol? ResultOf(IOperation operation)
    {
        for (var current = operation.Parent; current is not null; current = current.Parent)
        {
            switch (current)
            {
                case IConversionOperation or IVariableInitializerOperation or IParenthesizedOperation: continue;
                case IVariableDeclaratorOperation declarator: return declarator.Symbol;
                case IAssignmentOperation assignment: return SymbolOf(assignment.Target);
                default: return null;
            }
        }
        return null;
    }
}
