using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL006: a target that the class assigns but never registers with the model.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class TargetNotRegistered : DiagnosticAnalyzer
{
    internal const string Id = "FOSSIL006";

    private const string RegisterComponents = "RegisterComponents";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target is assigned but never registered",
        "Target '{0}' of '{1}' is assigned but not registered, so that its weight is not part of the model: {2}",
        RuleDescriptor.Usage,
        DiagnosticSeverity.Warning,
        "TorchSharp finds a layer through RegisterComponents or register_module. One that is not registered is not moved, saved or trained, and AttachAdapters does not find it.");

    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (WellKnownTypes.From(start.Compilation) is not { } types) return;
            var derived = new DerivedClasses(start.Compilation);
            var parents = new ParentModules(start.Compilation, types);
            start.RegisterSymbolStartAction(symbol => AnalyzeClass(symbol, types, derived, parents), SymbolKind.NamedType);
        });
    }

    private static void AnalyzeClass(SymbolStartAnalysisContext context, WellKnownTypes types, DerivedClasses derived, ParentModules parents)
    {
        var type = (INamedTypeSymbol)context.Symbol;
        if (AdaptedClassParser.Parse(type, types, context.CancellationToken) is not { } parsed || parsed.Targets.IsEmpty || !types.IsModule(type)) return;
        // A derived class may register what its base assigns; a base class in another assembly may do anything.
        if (derived.Has(type, context.CancellationToken) || !BasesAreKnown(type, types)) return;

        var registration = new Registration(type, parsed, types, parents, context.CancellationToken);
        context.RegisterOperationAction(operation => registration.Visit(operation.Operation, operation.ContainingSymbol), 
            OperationKind.SimpleAssignment, OperationKind.DeconstructionAssignment, OperationKind.Invocation, OperationKind.FieldInitializer, OperationKind.PropertyInitializer, OperationKind.ObjectCreation);
        context.RegisterSymbolEndAction(end =>
        {
            foreach (var (location, target, advice, canRegister) in registration.Missing())
            {
                var properties = canRegister ? ImmutableDictionary<string, string?>.Empty.Add(DiagnosticProperties.Replacement, RegisterComponents) : null;
                end.ReportDiagnostic(Diagnostic.Create(Descriptor, location, properties, target, type.Name, advice));
            }
        });
    }

    private static bool BasesAreKnown(INamedTypeSymbol type, WellKnownTypes types)
    {
        for (var level = type.BaseType; level is not null && level.SpecialType != SpecialType.System_Object; level = level.BaseType)
        {
            if (level.DeclaringSyntaxReferences.IsEmpty) return WellKnownTypes.Same(level.ContainingAssembly, types.Module.ContainingAssembly);
        }
        return true;
    }

    /// <summary>What one class assigns and registers.</summary>
    private sealed class Registration(INamedTypeSymbol type, AdaptedClass parsed, WellKnownTypes types, ParentModules parents, CancellationToken cancellationToken)
    {
        private readonly object gate = new();
        private readonly List<(ISymbol Member, IOperation Operation, ISymbol Container)> assignments = [];
        private readonly List<(SyntaxNode Syntax, ISymbol Container)> calls = [];
        private readonly HashSet<string> registered = [];
        private bool mayRegisterMore;

        public void Visit(IOperation operation, ISymbol container)
        {
            lock (gate)
            {
                switch (operation)
                {
                    case IInvocationOperation invocation: Visit(invocation, container); break;
                    case ISymbolInitializerOperation { Value.ConstantValue: { HasValue: true, Value: null } }: break;
                    case IFieldInitializerOperation field: assignments.AddRange(field.InitializedFields.Select(member => ((ISymbol)member, operation, container))); break;
                    case IPropertyInitializerOperation property: assignments.AddRange(property.InitializedProperties.Select(member => ((ISymbol)member, operation, container))); break;
                    case IObjectCreationOperation creation: mayRegisterMore |= PassesThis(creation.Arguments); AddListed(creation.Type, creation); break;
                }
                foreach (var (target, value) in Assignments.Of(operation))
                {
                    if (target is not IMemberReferenceOperation { Instance: IInstanceReferenceOperation } member || value.ConstantValue is { HasValue: true, Value: null }) continue;
                    assignments.Add((member.Member, member, container));
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
                var arguments = invocation.Arguments.OrderBy(argument => argument.Parameter?.Ordinal ?? 0).Select(argument => Unwrap(argument.Value)).ToList();
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
            arguments.Any(argument => Unwrap(argument.Value) is IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance });

        private static IOperation Unwrap(IOperation value) => value is IConversionOperation conversion ? Unwrap(conversion.Operand) : value;

        public IEnumerable<(Location Location, string Target, string Advice, bool CanRegister)> Missing()
        {
            if (mayRegisterMore) yield break;
            var baseRegisters = BaseConstructorRegisters(out var baseMayRegister);
            if (baseMayRegister) yield break;
            foreach (var target in parsed.Targets)
            {
                var first = assignments.Where(assignment => assignment.Member.Name == target.Member && WellKnownTypes.Same(assignment.Member.ContainingType.OriginalDefinition, type.OriginalDefinition))
                    .OrderBy(assignment => assignment.Operation.Syntax.SpanStart).FirstOrDefault();
                if (first.Member is null || registered.Contains(target.Member)) continue;
                var location = first.Operation is ISymbolInitializerOperation ? first.Member.Locations[0] : first.Operation.Syntax.GetLocation();
                if (target.Kind is TargetKind.Array or TargetKind.Sequence or TargetKind.Dictionary)
                {
                    yield return (location, target.Member, $"RegisterComponents() does not look into an array, list or dictionary, so use a {(target.Kind == TargetKind.Dictionary ? "ModuleDict" : "ModuleList")}, or call register_module for each element", false);
                }
                else if (first.Operation is not ISymbolInitializerOperation && baseRegisters)
                {
                    // The base constructor may call the method that assigns before it registers.
                    if (first.Container is not IMethodSymbol { MethodKind: MethodKind.Constructor }) continue;
                    yield return (location, target.Member, $"the base constructor calls RegisterComponents() before it is assigned, and only the first call registers, so call register_module(\"{target.Member}\", {target.Member})", false);
                }
                else if (calls.Count == 0 && !baseRegisters)
                {
                    // A parent registers the components of a module with the module itself.
                    if (parents.MayContain(type, cancellationToken)) continue;
                    yield return (location, target.Member, "call RegisterComponents() at the end of the constructor", true);
                }
                else if (first.Operation is not ISymbolInitializerOperation && CallsPrecede(first.Operation.Syntax, first.Container))
                {
                    yield return (location, target.Member, "RegisterComponents() runs before this assignment, so call it at the end of the constructor", false);
                }
            }
        }

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
}
