using System.Collections.Immutable;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Uses;

/// <summary>FOSSIL024: a target that gets another layer after construction.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed partial class TargetReplaced : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [Descriptor];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        context.RegisterOperationAction(operation => AnalyzeOther(operation, types), OperationKind.SimpleAssignment, OperationKind.DeconstructionAssignment);
        context.RegisterSymbolStartAction(symbol => AnalyzeOwn(symbol, types), SymbolKind.NamedType);
    }

    /// <summary><c>model.q_proj = …</c> from outside, other than in an object initialiser.</summary>
    private static void AnalyzeOther(OperationAnalysisContext context, WellKnownTypes types)
    {
        foreach (var (written, value) in Assignments.Of(context.Operation))
        {
            if (MemberOf(written) is not { Instance: { } instance } target || instance is IInstanceReferenceOperation) continue;
            if (!types.IsTensorModule(written.Type) || KeepsValue(value, target.Member)) continue;
            // An array that construction leaves empty is filled from outside.
            if (target.Type is IArrayTypeSymbol && !ReferenceEquals(target, written) && IsMadeEmpty(target.Member, context.CancellationToken)) continue;
            if (TargetIndex.Of(context.Compilation, context.CancellationToken) is { } index && index.IsTarget(target.Member)) context.ReportDiagnostic(Diagnostic.Create(Descriptor, written.Syntax.GetLocation(), target.Member.Name));
        }
    }

    /// <summary><c>q_proj = …</c> in a method of the class, where construction has assigned it already and does not call the method.</summary>
    private static void AnalyzeOwn(SymbolStartAnalysisContext context, WellKnownTypes types)
    {
        var type = (INamedTypeSymbol)context.Symbol;
        if (AdaptedClassParser.Parse(type, types, context.CancellationToken) is not { Targets.IsEmpty: false } parsed) return;
        var gate = new object();
        var constructed = new HashSet<string>();
        var helpers = new HashSet<ISymbol>(SymbolEqualityComparer.Default);
        var later = new List<(IMemberReferenceOperation Target, IOperation Written, ISymbol Method)>();
        context.RegisterOperationAction(
            operation =>
            {
                var inConstruction = operation.ContainingSymbol is IMethodSymbol { MethodKind: MethodKind.Constructor } or IFieldSymbol or IPropertySymbol;
                lock (gate)
                {
                    switch (operation.Operation)
                    {
                        case IFieldInitializerOperation { Value.ConstantValue.HasValue: false } field when !IsEmptyArray(field.Value): constructed.UnionWith(field.InitializedFields.Select(member => member.Name)); break;
                        case IPropertyInitializerOperation { Value.ConstantValue.HasValue: false } property when !IsEmptyArray(property.Value): constructed.UnionWith(property.InitializedProperties.Select(member => member.Name)); break;
                        // A method that any other method calls may run during construction.
                        case IInvocationOperation { Instance: IInstanceReferenceOperation } call: helpers.Add(call.TargetMethod); break;
                        case IMethodReferenceOperation { Instance: IInstanceReferenceOperation } method: helpers.Add(method.Method); break;
                    }
                    foreach (var (written, value) in Assignments.Of(operation.Operation))
                    {
                        if (MemberOf(written) is not { Instance: IInstanceReferenceOperation { ReferenceKind: InstanceReferenceKind.ContainingTypeInstance } } target) continue;
                        if (!inConstruction || IsInLambda(operation.Operation))
                        {
                            if (!KeepsValue(value, target.Member)) later.Add((target, written, operation.ContainingSymbol));
                        }
                        // An array without elements holds no layer yet.
                        else if (!IsEmptyArray(value))
                        {
                            constructed.Add(target.Member.Name);
                        }
                    }
                }
            },
            OperationKind.SimpleAssignment, OperationKind.DeconstructionAssignment, OperationKind.FieldInitializer, OperationKind.PropertyInitializer, OperationKind.Invocation, OperationKind.MethodReference);
        context.RegisterSymbolEndAction(end =>
        {
            foreach (var (target, written, method) in later)
            {
                var isElement = !ReferenceEquals(target, written);
                var isTarget = parsed.Targets.Any(one => one.Member == target.Member.Name && isElement == one.Kind is not TargetKind.Module);
                if (!isTarget || !constructed.Contains(target.Member.Name) || helpers.Contains(method) || method is IMethodSymbol { AssociatedSymbol: not null }) continue;
                end.ReportDiagnostic(Diagnostic.Create(Descriptor, written.Syntax.GetLocation(), target.Member.Name));
            }
        });
    }

    /// <summary>The member that an assignment replaces, or an element of: <c>q_proj = …</c>, <c>experts[0] = …</c>.</summary>
    private static IMemberReferenceOperation? MemberOf(IOperation written) => written switch
    {
        IArrayElementReferenceOperation element => Unwrap(element.ArrayReference),
        IImplicitIndexerReferenceOperation element => Unwrap(element.Instance),
        IPropertyReferenceOperation { Property.IsIndexer: true, Instance: { } list } => Unwrap(list),
        IMemberReferenceOperation member => member,
        _ => null,
    };

    private static IMemberReferenceOperation? Unwrap(IOperation collection) => collection switch
    {
        IConversionOperation conversion => Unwrap(conversion.Operand),
        IPropertyReferenceOperation { Property.IsIndexer: true } => null,
        _ => collection as IMemberReferenceOperation,
    };

    private static bool IsEmptyArray(IOperation value) => value is IArrayCreationOperation { Initializer: null };

    /// <summary>Whether the class that declares a member makes an array for it whose elements come later.</summary>
    private static bool IsMadeEmpty(ISymbol member, CancellationToken cancellationToken) => member.ContainingType.DeclaringSyntaxReferences
        .SelectMany(reference => reference.GetSyntax(cancellationToken).DescendantNodes()).OfType<ArrayCreationExpressionSyntax>()
        .Any(array => array.Initializer is null && array.Parent switch
        {
            AssignmentExpressionSyntax assignment => assignment.Left.DescendantNodesAndSelf().OfType<SimpleNameSyntax>().Any(name => name.Identifier.ValueText == member.Name),
            EqualsValueClauseSyntax { Parent: VariableDeclaratorSyntax variable } => variable.Identifier.ValueText == member.Name,
            EqualsValueClauseSyntax { Parent: PropertyDeclarationSyntax property } => property.Identifier.ValueText == member.Name,
            _ => true,
        });

    private static bool IsInLambda(IOperation operation)
    {
        for (var current = operation.Parent; current is not null; current = current.Parent)
        {
            if (current is IAnonymousFunctionOperation or ILocalFunctionOperation) return true;
        }
        return false;
    }

    /// <summary><c>q_proj = q_proj.to(device)</c> keeps the layer, and null takes it away.</summary>
    private static bool KeepsValue(IOperation value, ISymbol member) =>
        value.ConstantValue is { HasValue: true, Value: null }
        || value.DescendantsAndSelf().Any(operation => operation is IMemberReferenceOperation reference && WellKnownTypes.Same(reference.Member, member));
}
