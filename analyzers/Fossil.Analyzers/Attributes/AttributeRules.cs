using Fossil.CodeModel;
using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

/// <summary>Which rule reports which problem of the parse.</summary>
internal static class AttributeRules
{
    public static readonly IReadOnlyDictionary<ParseProblemKind, DiagnosticDescriptor> ByProblem = new Dictionary<ParseProblemKind, DiagnosticDescriptor>
    {
        [ParseProblemKind.NotPartial] = ClassNotPartial.Class,
        [ParseProblemKind.ContainingTypeNotPartial] = ClassNotPartial.ContainingType,
        [ParseProblemKind.UnknownTarget] = UnknownTarget.Descriptor,
        [ParseProblemKind.TargetNotAModule] = TargetNotATensorModule.Descriptor,
        [ParseProblemKind.ShardSizeNotPositive] = ShardSizeNotPositive.Descriptor,
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
        [ParseProblemKind.MiniSizeNotPositive] = MiniSizeNotPositive.Descriptor,
        [ParseProblemKind.DropoutOutOfRange] = DropoutOutOfRange.Descriptor,
        [ParseProblemKind.UnknownVariant] = UnknownVariant.Descriptor,
    };
}
