using Microsoft.CodeAnalysis;

namespace Fossil.Analyzers.Attributes;

// The rules on the annotation and its settings: those that AttributeRules maps problems of the parse to, and those of analyzers in the file of their name.

/// <summary>FOSSIL001: What keeps the generator from adding its part.</summary>
internal static class ClassNotPartial
{
    public const string Id = "FOSSIL001";

    public static readonly DiagnosticDescriptor Class = RuleDescriptor.Create(
        Id,
        "Annotated class is not partial",
        "Class '{0}' is marked [FossilAdapt] but is not partial, so the generator cannot add its part: add 'partial' to the declaration",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generator adds a part to the annotated class that tells the run time its targets. Each type around a nested class must be partial too.");

    public static readonly DiagnosticDescriptor ContainingType = RuleDescriptor.Create(
        Id,
        "Annotated class is not partial",
        "Class '{0}' is marked [FossilAdapt], but the type '{1}' around it is not partial, so the generator cannot add its part: add 'partial' to the declaration of '{1}'",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generator adds a part to the annotated class that tells the run time its targets. Each type around a nested class must be partial too.");
}

/// <summary>FOSSIL002: A target name without a member.</summary>
internal static class UnknownTarget
{
    public const string Id = "FOSSIL002";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target does not exist",
        "Class '{0}' has no field or property '{1}'{2}",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The names in [FossilAdapt] are those of fields or properties of the class or of a base class, spelled as they are declared.");
}

/// <summary>FOSSIL003: A target of the wrong type.</summary>
internal static class TargetNotATensorModule
{
    public const string Id = "FOSSIL003";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target is not a Module<Tensor, Tensor>",
        "Target '{1}' of '{0}' has the type '{2}', which is neither a Module<Tensor, Tensor> nor a collection of them (an array, a list, a ModuleList, a ModuleDict or another dictionary by name): only such a layer can be adapted",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "An adapter changes the matrix of a layer that maps one tensor to one tensor, such as Linear.");
}

/// <summary>FOSSIL004: A shard size below one.</summary>
internal static class ShardSizeNotPositive
{
    public const string Id = "FOSSIL004";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Shard size is not positive",
        RuleDescriptor.Explained,
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The shard size r is the number of rows of the trained shard. The input width must be a multiple of it.");
}

/// <summary>FOSSIL009: An annotated class that is no module.</summary>
internal static class ClassNotAModule
{
    public const string Id = "FOSSIL009";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Annotated class is not a module",
        "Class '{0}' is marked [FossilAdapt] but does not derive from torch.nn.Module: adapters belong to modules",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "AttachAdapters walks the modules of a model; a class that is not one of them is never found.");

    public static readonly DiagnosticDescriptor Static = RuleDescriptor.Create(
        Id,
        "Annotated class is not a module",
        "Class '{0}' is marked [FossilAdapt] but is static: adapters belong to modules, which are objects",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "AttachAdapters walks the modules of a model; a class that is not one of them is never found.");
}

/// <summary>FOSSIL010: An attribute without effect.</summary>
internal static class NoTargets
{
    public const string Id = "FOSSIL010";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Attribute names no target",
        "[FossilAdapt] on '{0}' names no target: name the fields or properties to adapt, as in [FossilAdapt(\"q_proj\", \"v_proj\")]",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "Only the members that the attribute names are adapted.");

    public static readonly DiagnosticDescriptor EmptyName = RuleDescriptor.Create(
        Id,
        "Attribute names no target",
        "[FossilAdapt] on '{0}' has a target name that is null or empty: name a field or property of the class",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "Only the members that the attribute names are adapted.");
}

/// <summary>FOSSIL011: A target that is named twice.</summary>
internal static class DuplicateTarget
{
    public const string Id = "FOSSIL011";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target is named twice",
        "Target '{1}' of '{0}' is named twice: the settings of the first are used, so remove this one",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "One member has one set of settings. A second name, in the same or in another [FossilAdapt], would be ignored.");
}

/// <summary>FOSSIL012: An argument that the compiler cannot evaluate.</summary>
internal static class ArgumentNotConstant
{
    public const string Id = "FOSSIL012";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Attribute argument is not a constant",
        "The argument '{0}' of [FossilAdapt] is not a constant that the generator can use: write a literal, a const or nameof(…)",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generator reads the attribute while compiling, so that names and settings must be constants.");
}

/// <summary>FOSSIL013: A member that generated code cannot read.</summary>
internal static class TargetNotUsable
{
    public const string Id = "FOSSIL013";

    public static readonly DiagnosticDescriptor NotReadable = RuleDescriptor.Create(
        Id,
        "Target cannot be read",
        "'{1}' of '{0}' is a {2}: a target must be a field, or a property with a getter",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generated part of the class reads each target as the class itself would.");

    public static readonly DiagnosticDescriptor Inaccessible = RuleDescriptor.Create(
        Id,
        "Target cannot be read",
        "'{1}' is private in the base class '{2}', so the generated part of '{0}' cannot read it: annotate '{2}' instead, or make '{1}' protected",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generated part of the class reads each target as the class itself would.");

    public static readonly DiagnosticDescriptor Static = RuleDescriptor.Create(
        Id,
        "Target cannot be read",
        "'{1}' of '{0}' is static: adapters belong to one model, so a target must be an instance field or property",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The generated part of the class reads each target as the class itself would.");
}

/// <summary>FOSSIL014: A class that no other file can name.</summary>
internal static class ClassFileLocal
{
    public const string Id = "FOSSIL014";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Annotated class is local to its file",
        "Class '{0}' is local to its file, so the generated part, which is another file, cannot be added: remove 'file' from the declaration",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "Generated code is a file of its own and cannot name a type with the modifier 'file'.");
}

/// <summary>FOSSIL015: A setting without effect.</summary>
internal static class SettingUnused
{
    public const string Id = "FOSSIL015";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Setting has no effect on the variant",
        "{0} has no effect with the variant {1}: remove it, or choose another variant",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "MiniSize belongs to Mini; Dropout and AllowPadding belong to Balance and Mini.");
}

/// <summary>FOSSIL016: A mini size below one.</summary>
internal static class MiniSizeNotPositive
{
    public const string Id = "FOSSIL016";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Mini size is not positive",
        RuleDescriptor.Explained,
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "The mini size m is the width of the trained shard in the variant Mini, which is tiled along the output.");
}

/// <summary>FOSSIL018: A dropout that is no probability.</summary>
internal static class DropoutOutOfRange
{
    public const string Id = "FOSSIL018";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Dropout is not a probability below 1",
        RuleDescriptor.Explained,
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "With a dropout of 1 nothing would be left to learn from.");
}

/// <summary>FOSSIL019: A variant that does not exist.</summary>
internal static class UnknownVariant
{
    public const string Id = "FOSSIL019";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Variant does not exist",
        RuleDescriptor.Explained,
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "A cast number is a constant of the enumeration's type without being one of its members.");
}

/// <summary>FOSSIL040: A value of a setting that cannot be used, where the setting has no rule of its own.</summary>
internal static class SettingNotUsable
{
    public const string Id = "FOSSIL040";

    public static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Setting has a value that cannot be used",
        RuleDescriptor.Explained,
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Error,
        "A configuration is checked when it is used. Values that are constants are known while compiling.");
}

/// <content>FOSSIL021: a shard size that no fine-tuning needs. The bound is a matter of taste: <c>fossil_largest_shard_size</c> in an <c>.editorconfig</c>.</content>
public sealed partial class ShardSizeAbsurd
{
    internal const string Id = "FOSSIL021";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Shard size is larger than any fine-tuning needs",
        "Shard size {0} is above {1}: the shard would be a large part of the layer itself; usual sizes are 8 to 512 (fossil_largest_shard_size in an .editorconfig moves the bound)",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "The trained shard has ShardSize rows. A number that was meant as a width or a count of parameters is easily written in its place.");
}

/// <content>FOSSIL022: a target of a base class that a derived class hides, overrides or names again.</content>
public sealed partial class InheritedTargetHidden
{
    internal const string Id = "FOSSIL022";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target of a base class is hidden, overridden or named again",
        "'{0}' is a target of the base class '{1}' already: '{2}' {3}",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "The base class tells the run time its targets by its own members. A member of the same name in a derived class is another one, and a second naming of the same member would adapt it twice.");
}

/// <content>FOSSIL023: an abstract annotated class that nothing derives from.</content>
public sealed partial class AbstractClassUnderived
{
    internal const string Id = "FOSSIL023";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Annotated class is abstract and has no derived class",
        "Class '{0}' is marked [FossilAdapt] but is abstract, and no class of the project derives from it, so that nothing is adapted: annotate the classes that are constructed",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "Targets of an abstract class are adapted in the objects of its derived classes. A library whose users derive can switch the rule off.");
}

/// <content>FOSSIL027: an <c>[AdapterWidths]</c> that names nothing.</content>
public sealed partial class AdapterWidthsUnknown
{
    internal const string Id = "FOSSIL027";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Declared width does not exist",
        "[AdapterWidths] on '{0}' names '{1}', which is neither a constructor parameter nor a field or property of the class: its width is not followed",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "The attribute tells the analyzers which constructor parameters or members are the widths of a custom layer.");
}

/// <content>FOSSIL036: a target whose type has no matrix that an adapter could change.</content>
public sealed partial class TargetWithoutMatrix
{
    internal const string Id = "FOSSIL036";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Target has no matrix to adapt",
        "Target '{0}' of '{1}' is of type {2}, which has no weight of shape (out, in) applied to its input, so it gets no adapter: name the Linear layers instead",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "An adapter changes the matrix of a linear map. Of TorchSharp's own layers, that is Linear, and for LoRA Embedding, which is named with OnRequest = true; activations, dropout, convolutions, norms and Sequential have none.");
}

/// <content>FOSSIL037: a size in <c>[assembly: FossilShardSizes]</c> that gets no kernels of its own. One that is not positive is FOSSIL004.</content>
public sealed partial class ShardSizeWithoutKernels
{
    internal const string Id = "FOSSIL037";

    private static readonly DiagnosticDescriptor Descriptor = RuleDescriptor.Create(
        Id,
        "Named shard size adds no kernels",
        "Shard size {0} adds no kernels: {1}",
        RuleDescriptor.Annotation,
        DiagnosticSeverity.Warning,
        "[assembly: FossilShardSizes] asks for kernels of the shard sizes that it names, each once.");
}
