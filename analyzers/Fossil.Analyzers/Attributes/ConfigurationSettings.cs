using System.Collections.Immutable;
using System.Globalization;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.Analyzers.Attributes;

/// <summary>The rules on an attribute's settings, for <c>new FossilConfig { … }</c>, which takes their place at run time.</summary>
[DiagnosticAnalyzer(LanguageNames.CSharp)]
public sealed class ConfigurationSettings : DiagnosticAnalyzer
{
    /// <inheritdoc/>
    public override ImmutableArray<DiagnosticDescriptor> SupportedDiagnostics { get; } =
        [ShardSizeNotPositive.Descriptor, SettingUnused.Descriptor, MiniSizeNotPositive.Descriptor, DropoutOutOfRange.Descriptor];

    /// <inheritdoc/>
    public override void Initialize(AnalysisContext context)
    {
        context.ConfigureGeneratedCodeAnalysis(GeneratedCodeAnalysisFlags.None);
        context.EnableConcurrentExecution();
        context.RegisterCompilationStartAction(start =>
        {
            if (start.Compilation.GetTypeByMetadataName("Fossil.FossilConfig") is not { } config) return;
            start.RegisterOperationAction(
                operation =>
                {
                    var creation = (IObjectCreationOperation)operation.Operation;
                    if (creation.Initializer is { } initializer && WellKnownTypes.Same(creation.Type, config)) Check(initializer, operation.ReportDiagnostic);
                },
                OperationKind.ObjectCreation);
        });
    }

    private static void Check(IObjectOrCollectionInitializerOperation initializer, Action<Diagnostic> report)
    {
        var settings = initializer.Initializers.OfType<ISimpleAssignmentOperation>()
            .Where(one => one.Target is IPropertyReferenceOperation).GroupBy(one => ((IPropertyReferenceOperation)one.Target).Property.Name).ToDictionary(group => group.Key, group => group.Last());
        // A variant that is not a constant may be any.
        var variant = settings.TryGetValue("Variant", out var chosen) ? chosen.Value.ConstantValue is { HasValue: true, Value: int number } ? (AdapterVariant)number : (AdapterVariant?)null : AdapterVariant.Balance;
        foreach (var setting in settings)
        {
            if (setting.Value.Value.ConstantValue is not { HasValue: true, Value: { } value }) continue;
            var (rule, isVariant) = (setting.Key, value) switch
            {
                ("ShardSize", int and <= 0) => (ShardSizeNotPositive.Descriptor, false),
                ("MiniSize", int and <= 0) => (MiniSizeNotPositive.Descriptor, false),
                ("Dropout", double rate) when !(rate is >= 0 and < 1) => (DropoutOutOfRange.Descriptor, false),
                ("MiniSize", int and > 1) when variant is AdapterVariant.Balance or AdapterVariant.Bat => (SettingUnused.Descriptor, true),
                ("Dropout", double and > 0) when variant == AdapterVariant.Bat => (SettingUnused.Descriptor, true),
                ("AllowPadding", true) when variant == AdapterVariant.Bat => (SettingUnused.Descriptor, true),
                _ => (null, false),
            };
            if (rule is null) continue;
            object[] arguments = isVariant ? [setting.Key, variant!.Value] : [((IFormattable)value).ToString(null, CultureInfo.InvariantCulture)];
            report(Diagnostic.Create(rule, setting.Value.Syntax.GetLocation(), arguments));
        }
    }
}
