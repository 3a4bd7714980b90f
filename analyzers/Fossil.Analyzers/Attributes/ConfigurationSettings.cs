using System.Collections.Immutable;
using Fossil.CodeModel;
using Fossil.Methods;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Attributes;

/// <summary>The rules on settings, for <c>new FossilConfig { … }</c> and the configurations of the other methods, and for <c>with { … }</c>.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class ConfigurationSettings : ProjectRule
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } = [SettingUnused.Descriptor, .. AttributeRules.OfSettings];

    private protected override void Start(CompilationStartAnalysisContext context, WellKnownTypes types)
    {
        var tables = new Dictionary<ISymbol, SettingTable>(SymbolEqualityComparer.Default);
        foreach (var table in ConfigurationTables.All)
        {
            if (context.Compilation.GetTypeByMetadataName(table.Type) is { } type) tables.Add(type, table);
        }
        if (tables.Count > 0) context.RegisterOperationAction(operation => Analyze(operation, tables), OperationKind.ObjectCreation, OperationKind.With);
    }

    private static void Analyze(OperationAnalysisContext context, Dictionary<ISymbol, SettingTable> tables)
    {
        var initializer = (context.Operation as IObjectCreationOperation)?.Initializer ?? (context.Operation as IWithOperation)?.Initializer;
        if (initializer is null || context.Operation.Type is not { } type || !tables.TryGetValue(type, out var table)) return;
        var given = initializer.Initializers.OfType<ISimpleAssignmentOperation>().Where(one => one.Target is IPropertyReferenceOperation)
            .GroupBy(one => ((IPropertyReferenceOperation)one.Target).Property.Name).ToDictionary(group => group.Key, group => group.Last().Value);
        // A variant that is not a constant, or that of another object, may be any.
        var variant = table.Variant is not { } chooser ? null
            : given.TryGetValue(chooser.Name, out var chosen) ? table.VariantOf(Constant(chooser, chosen))
            : context.Operation is IObjectCreationOperation ? table.VariantOf(chooser.DefaultValue) : null;
        foreach (var setting in table.Settings)
        {
            if (!given.TryGetValue(setting.Name, out var operation) || Constant(setting, operation) is not { } value) continue;
            if (setting.ProblemOf(value, variant) is { } problem) context.ReportDiagnostic(Diagnostic.Create(AttributeRules.OfSetting(setting.Name), operation.Syntax.GetLocation(), problem));
            else if (setting.IsWithoutEffect(value, variant, inAttribute: false)) context.ReportDiagnostic(Diagnostic.Create(SettingUnused.Descriptor, operation.Syntax.GetLocation(), setting.Name, variant));
        }
    }

    private static object? Constant(Setting setting, IOperation operation) => operation.ConstantValue is { HasValue: true, Value: var constant } ? setting.ValueOf(constant) : null;
}
