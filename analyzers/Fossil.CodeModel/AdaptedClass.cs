namespace Fossil.CodeModel;

/// <summary>A class marked with <c>[FossilAdapt]</c>, as plain values: what the generator emits from and the analyzers report from.</summary>
/// <param name="Namespace">The namespace, escaped where a part is a keyword; empty for the global one.</param>
/// <param name="Declarations">The declarations to repeat, from the outermost containing type to the class itself.</param>
/// <param name="MetadataName">The full metadata name, with <c>+</c> for nesting and <c>`n</c> for arity.</param>
/// <param name="IsSealed">Whether no class can derive from it.</param>
/// <param name="HasAdaptedBase">Whether a base class has a generated part already, so that this one extends it.</param>
/// <param name="CanEmit">Whether a generated part can be added: the class and all around it are partial, and it is a module.</param>
/// <param name="Targets">The targets that are valid, in the order of the attributes.</param>
/// <param name="Problems">What is wrong with the attributes or the class.</param>
public sealed record AdaptedClass(
    string Namespace,
    EquatableArray<TypeDeclaration> Declarations,
    string MetadataName,
    bool IsSealed,
    bool HasAdaptedBase,
    bool CanEmit,
    EquatableArray<AdaptedTarget> Targets,
    EquatableArray<ParseProblem> Problems);

/// <summary>One level of a (nested) type declaration.</summary>
/// <param name="Keyword"><c>class</c>, <c>record</c>, <c>struct</c>, <c>record struct</c> or <c>interface</c>.</param>
/// <param name="Name">The name with its type parameters, escaped where it is a keyword: <c>@class&lt;T&gt;</c>.</param>
/// <param name="IsPartial">Whether each part is declared partial.</param>
public sealed record TypeDeclaration(string Keyword, string Name, bool IsPartial);

/// <summary>One adaptable member of an annotated class.</summary>
/// <param name="Member">The name of the field or property.</param>
/// <param name="Kind">What the member holds.</param>
/// <param name="IsProperty">Whether it is a property.</param>
/// <param name="DeclaredType">The fully qualified declared type, with nullability.</param>
/// <param name="ElementType">The fully qualified type of the module, or of each module in the collection.</param>
/// <param name="DeclaringType">The metadata name of the class that declares the member: the annotated one or a base of it.</param>
/// <param name="Module">What the element type is, as far as values of other types could be it.</param>
/// <param name="Settings">The settings of its attribute.</param>
/// <param name="AttributeIndex">Which <c>[FossilAdapt]</c> of the class names it.</param>
/// <param name="TargetIndex">Which argument of that attribute.</param>
public sealed record AdaptedTarget(
    string Member,
    TargetKind Kind,
    bool IsProperty,
    string DeclaredType,
    string ElementType,
    string DeclaringType,
    ModuleShape Module,
    AdapterSettings Settings,
    int AttributeIndex,
    int TargetIndex);

/// <summary>The type of a module, by metadata names without type arguments.</summary>
/// <param name="Name">Its name; for a type parameter, that of what it must be.</param>
/// <param name="IsSealed">Whether no class can derive from it.</param>
/// <param name="Ancestors">Its base classes and interfaces.</param>
public sealed record ModuleShape(string Name, bool IsSealed, EquatableArray<string> Ancestors);

/// <summary>What a target member holds.</summary>
public enum TargetKind
{
    /// <summary>One module.</summary>
    Module,

    /// <summary>An array of modules.</summary>
    Array,

    /// <summary>A TorchSharp <c>ModuleList</c>.</summary>
    ModuleList,

    /// <summary>Another sequence of modules, such as <c>List&lt;Linear&gt;</c>.</summary>
    Sequence,

    /// <summary>A TorchSharp <c>ModuleDict</c>.</summary>
    ModuleDict,

    /// <summary>Another dictionary of modules by name, such as <c>Dictionary&lt;string, Linear&gt;</c>.</summary>
    Dictionary,
}
