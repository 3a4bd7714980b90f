namespace Fossil.CodeModel;

/// <summary>
/// Something wrong with an annotated class. It holds no location: the analyzers, which have the symbols, get it from
/// <see cref="AttributeSyntaxLocator"/>.
/// </summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="AttributeIndex">Which <c>[FossilAdapt]</c> of the class, or -1 where the class itself is meant.</param>
/// <param name="TargetIndex">Which target argument of that attribute, or -1.</param>
/// <param name="Setting">Which named setting of that attribute (<c>ShardSize</c>), or null.</param>
/// <param name="Arguments">What a message needs; see <see cref="ParseProblemKind"/>.</param>
public sealed record ParseProblem(
    ParseProblemKind Kind,
    int AttributeIndex,
    int TargetIndex,
    string? Setting,
    EquatableArray<string> Arguments);

/// <summary>What can be wrong with an annotated class. In braces: <see cref="ParseProblem.Arguments"/>.</summary>
public enum ParseProblemKind
{
    /// <summary>The class is not partial {class}.</summary>
    NotPartial,

    /// <summary>A type around the class is not partial {class, containing type}.</summary>
    ContainingTypeNotPartial,

    /// <summary>The class is not a TorchSharp module {class}.</summary>
    NotAModule,

    /// <summary>The class is static {class}.</summary>
    StaticClass,

    /// <summary>The class, or one around it, is local to its file, so no generated part can be added {class}.</summary>
    FileLocal,

    /// <summary>The attribute names no target {class}.</summary>
    NoTargets,

    /// <summary>A target name is null or empty {class}.</summary>
    EmptyTargetName,

    /// <summary>An argument is no constant that the compiler can evaluate {argument}.</summary>
    ArgumentNotConstant,

    /// <summary>No member has that name {class, name, nearest name or ""}.</summary>
    UnknownTarget,

    /// <summary>The member is not a field or property that can be read {class, name, kind of member}.</summary>
    NotReadable,

    /// <summary>The member is private in a base class {class, name, base class}.</summary>
    Inaccessible,

    /// <summary>The member is static {class, name}.</summary>
    StaticTarget,

    /// <summary>The member's type is not a module from tensor to tensor, nor a collection of such {class, name, type}.</summary>
    TargetNotAModule,

    /// <summary>The name occurs twice on the class {class, name}.</summary>
    DuplicateTarget,

    /// <summary>A setting has a value that cannot be used {what is wrong with it}.</summary>
    SettingNotUsable,

    /// <summary>The variant does not use the setting {setting, variant}.</summary>
    SettingUnusedByVariant,
}
