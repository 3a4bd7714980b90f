using Fossil.CodeModel;
using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>Which rule reports which problem of the parse, or of a setting.</summary>
internal static class AttributeRules
{
    /// <summary>The rules of values that a setting does not accept. The settings say what is wrong, at run time too.</summary>
    public static readonly IReadOnlyList<DiagnosticDescriptor> OfSettings =
        [ShardSizeNotPositive.Descriptor, MiniSizeNotPositive.Descriptor, DropoutOutOfRange.Descriptor, UnknownVariant.Descriptor, SettingNotUsable.Descriptor];

    public static readonly IReadOnlyDictionary<ParseProblemKind, DiagnosticDescriptor> ByProblem = new Dictionary<ParseProblemKind, DiagnosticDescriptor>
    {
        [ParseProblemKind.NotPartial] = ClassNotPartial.Class,
        [ParseProblemKind.ContainingTypeNotPartial] = ClassNotPartial.ContainingType,
        [ParseProblemKind.UnknownTarget] = UnknownTarget.Descriptor,
        [ParseProblemKind.TargetNotAModule] = TargetNotATensorModule.Descriptor,
        [ParseProblemKind.NotAModule] = ClassNotAModule.Descriptor,
        [ParseProblemKind.StaticClass] = ClassNotAModule.Static,
        [ParseProblemKind.NoTargets] = NoTargets.Descriptor,
        [ParseProblemKind.EmptyTargetName] = NoTargets.EmptyName,
        [ParseProblemKind.DuplicateTarget] = DuplicateTarget.Descriptor,
        [ParseProblemKind.ArgumentNotConstant] = ArgumentNotConstant.Descriptor,
        [ParseProblemKind.NotReadable] = TargetNotUsable.NotReadable,
        [ParseProblemKind.Inaccessible] = TargetNotUsable.Inaccessible,
        [ParseProblemKind.StaticTarget] = TargetNotUsable.Static,
        [ParseProblemKind.FileLocal] = ClassFileLocal.Descriptor,
        [ParseProblemKind.SettingUnusedByVariant] = SettingUnused.Descriptor,
    };

    /// <summary>The rule of a problem.</summary>
    public static DiagnosticDescriptor Of(ParseProblem problem) => problem is { Kind: ParseProblemKind.SettingNotUsable, Setting: { } setting } ? OfSetting(setting) : ByProblem[problem.Kind];

    /// <summary>The rule of a value that the setting of a name does not accept.</summary>
    public static DiagnosticDescriptor OfSetting(string name) => name switch
    {
        nameof(AdaptSettings.ShardSize) => ShardSizeNotPositive.Descriptor,
        nameof(AdaptSettings.MiniSize) => MiniSizeNotPositive.Descriptor,
        nameof(AdaptSettings.Dropout) => DropoutOutOfRange.Descriptor,
        nameof(AdaptSettings.Variant) => UnknownVariant.Descriptor,
        _ => SettingNotUsable.Descriptor,
    };
}
