using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>What one class assigns and registers.</summary>
internal sealed class Registration(INamedTypeSymbol type, WellKnownTypes types, ParentModules parents, CancellationToken cancellationToken)
{
    private const string RegisterComponents = "RegisterComponents";

    private readonly object gate = new();
    private readonly List<(ISymbol Member, IOperation Operation, ISymbol Container, IOperation Value)> assignments = [];
    private readonly List<(SyntaxNode Syntax, ISymbol Container)> calls = [];
    private readonly HashSet<string> registered = [];
    private bool mayRegisterMore;

    /// <summary>What <see cref="Visit(IOperation, ISymbol)"/> is to be given.</summary>
    public static readonly OperationKind[] Kinds =
        [OperationKind.SimpleAssignment, OperationKind.DeconstructionAssignment, OperationKind.Invocation, OperationKind.FieldInitializer, OperationKind.PropertyInitializer, OperationKind.ObjectCreation];

    /// <summary>Takes note of one operation of the class.</summary>
    public void Visit(IOperation operation, ISymbol container)
    {
        lock (gate)
        {
            switch (operation)
            {
                case IInvocationOperation invocation: Visit(invocation, container); break;
                case ISymbolInitializerOperation { Value.ConstantValue: { HasValue: true, Value: null } }: break;
                case IFieldInitializerOperation field: assignments.AddRange(field.InitializedFields.Select(member => ((ISymbol)member, operation, container, field.Value))); break;
                case IPropertyInitializerOperation property: assignments.AddRange(property.InitializedProperties.Select(member => ((ISymbol)member, operation, container, property.Value))); break;
                case IObjectCreationOperation creation: mayRegisterMore |= PassesThis(creation.Arguments); AddListed(creation.Type, creation); break;
            }
            foreach (var (target, value) in Assignments.Of(operation))
            {
                if (target is not IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member || value.ConstantValue is { HasValue: true, Value: null }) continue;
                assignments.Add((member.Member, member, container, value));
            }
        }
    }

    private void Visit(IInvocationOperation invocation, ISymbol container)
    {
        var method = invocation.TargetMethod;
        if (method.Name == RegisterComponents && method.Parameters.IsEmpty)
        {
            calls.Add((invocation.Syntax, container));
        }
        else if (method.Name is "register_module" or "add_module" && invocation.Arguments.Length == 2)
        {
            var arguments = invocation.Arguments.OrderBy(argument => argument.Parameter?.Ordinal ?? 0).Select(argument => ValueFlow.Unconverted(argument.Value)).ToList();
            if (arguments[0].ConstantValue is { HasValue: true, Value: string name }) registered.Add(name);
            if (arguments[1] is IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member) registered.Add(member.Member.Name);
            else mayRegisterMore = true;
        }
        else
        {
            mayRegisterMore |= PassesThis(invocation.Arguments) && method.ContainingAssembly?.Name != WellKnownNames.TorchSharpAssembly;
            AddListed(invocation.Type, invocation);
        }
    }

    /// <summary>A target inside a <c>ModuleList</c> or <c>Sequential</c> is registered with it.</summary>
    private void AddListed(ITypeSymbol? made, IOperation operation)
    {
        if (made is null || !types.IsModule(made)) return;
        foreach (var member in operation.Descendants().OfType<IMemberReferenceOperation>()) registered.Add(member.Member.Name);
    }

    private static bool PassesThis(ImmutableArray<IArgumentOperation> arguments) =>
        arguments.Any(argument => ValueFlow.Unconverted(argument.Value) is IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance });

    /// <summary>The values that the class assigns to a member.</summary>
    public IEnumerable<IOperation> ValuesOf(string member) => assignments.Where(assignment => IsOwn(assignment.Member, member)).Select(assignment => assignment.Value);

    /// <summary>Those of <paramref name="members"/> that are assigned, but not registered.</summary>
    public IEnumerable<MissingRegistration> Missing(IEnumerable<HeldMember> members)
    {
        if (mayRegisterMore) yield break;
        var baseRegisters = BaseConstructorRegisters(out var baseMayRegister);
        if (baseMayRegister) yield break;
        foreach (var (member, isCollection, isDictionary) in members)
        {
            var first = assignments.Where(assignment => IsOwn(assignment.Member, member)).OrderBy(assignment => assignment.Operation.Syntax.SpanStart).FirstOrDefault();
            if (first.Member is null || registered.Contains(member)) continue;
            var location = first.Operation is ISymbolInitializerOperation ? first.Member.Locations[0] : first.Operation.Syntax.GetLocation();
            if (isCollection)
            {
                yield return new(location, member, $"RegisterComponents() does not look into an array, list or dictionary, so use a {(isDictionary ? "ModuleDict" : "ModuleList")}, or call register_module for each element", false);
            }
            else if (first.Operation is not ISymbolInitializerOperation && baseRegisters)
            {
                // The base constructor may call the method that assigns before it registers.
                if (first.Container is not IMethodSymbol { MethodKind: MethodKind.Constructor }) continue;
                yield return new(location, member, $"the base constructor calls RegisterComponents() before it is assigned, and only the first call registers, so call register_module(\"{member}\", {member})", false);
            }
            else if (calls.Count == 0 && !baseRegisters)
            {
                // A parent registers the components of a module with the module itself.
                if (parents.MayRegister(type, cancellationToken)) continue;
                yield return new(location, member, "call RegisterComponents() at the end of the constructor", true);
            }
            else if (first.Operation is not ISymbolInitializerOperation && CallsPrecede(first.Operation.Syntax, first.Container))
            {
                yield return new(location, member, "RegisterComponents() runs before this assignment, so call it at the end of the constructor", false);
            }
        }
    }

    private bool IsOwn(ISymbol assigned, string member) => assigned.Name == member && WellKnownTypes.Same(assigned.ContainingType.OriginalDefinition, type.OriginalDefinition);

    /// <summary>Whether each call of <c>RegisterComponents</c> is an earlier statement of the same constructor.</summary>
    private bool CallsPrecede(SyntaxNode assignment, ISymbol container) =>
        calls.Count > 0 && container is IMethodSymbol { MethodKind: MethodKind.Constructor } && calls.All(call =>
            WellKnownTypes.Same(call.Container, container)
            && call.Syntax.Parent is ExpressionStatementSyntax { Parent: BlockSyntax { Parent: ConstructorDeclarationSyntax body } }
            && assignment.Ancestors().Contains(body)
            && !assignment.Ancestors().Any(ancestor => ancestor is AnonymousFunctionExpressionSyntax or LocalFunctionStatementSyntax)
            && call.Syntax.SpanStart < assignment.SpanStart);

    private bool BaseConstructorRegisters(out bool mayRegisterElsewhere)
    {
        var inConstructor = false;
        mayRegisterElsewhere = false;
        for (var level = type.BaseType; level is { DeclaringSyntaxReferences.IsEmpty: false }; level = level.BaseType)
        {
            foreach (var token in level.DeclaringSyntaxReferences.SelectMany(reference => reference.GetSyntax(cancellationToken).DescendantTokens()))
            {
                if (!token.IsKind(SyntaxKind.IdentifierToken) || token.ValueText is not (RegisterComponents or "register_module" or "add_module")) continue;
                var isDirect = token.ValueText == RegisterComponents
                    && token.Parent?.FirstAncestorOrSelf<ExpressionStatementSyntax>() is { Parent: BlockSyntax { Parent: ConstructorDeclarationSyntax } };
                if (isDirect) inConstructor = true;
                else mayRegisterElsewhere = true;
            }
        }
        return inConstructor;
    }
}

/// <summary>A member that holds modules.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsCollection">Whether TorchSharp does not look into it.</param>
/// <param name="IsDictionary">Whether it is a collection of names and modules.</param>
internal sealed record HeldMember(string Name, bool IsCollection, bool IsDictionary);

/// <summary>A member whose modules TorchSharp does not learn of.</summary>
/// <param name="Location">Where it is assigned.</param>
/// <param name="Member">Its name.</param>
/// <param name="Advice">What to do.</param>
/// <param name="CanRegister">Whether a call at the end of the constructor is all that is missing.</param>
internal sealed record MissingRegistration(Location Location, string Member, string Advice, bool CanRegister)
{
    /// <summary>What the fix is told.</summary>
    public ImmutableDictionary<string, string?>? Properties => CanRegister ? ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.Replacement, "RegisterComponents") : null;
}
