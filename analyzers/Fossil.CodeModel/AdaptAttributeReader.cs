using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel;

/// <summary>Reads one <c>[FossilAdapt]</c>: its settings, and the members that it names.</summary>
internal sealed class AdaptAttributeReader(
    INamedTypeSymbol type,
    WellKnownTypes types,
    AttributeData attribute,
    int attributeIndex,
    List<ParseProblem> problems)
{
    /// <summary>Adds each valid target to <paramref name="targets"/>, in order.</summary>
    public void ReadInto(List<AdaptedTarget> targets)
    {
        var settings = ReadSettings();
        var names = TargetNames();
        if (names is null) return;
        if (names.Count == 0) Report(ParseProblemKind.NoTargets, arguments: type.Name);

        for (var index = 0; index < names.Count; index++)
        {
            if (names[index].Kind == TypedConstantKind.Error) Report(ParseProblemKind.ArgumentNotConstant, index, arguments: "targets");
            else if (names[index].Value is not string name || name.Length == 0) Report(ParseProblemKind.EmptyTargetName, index, arguments: type.Name);
            else if (targets.Any(target => target.Member == name)) Report(ParseProblemKind.DuplicateTarget, index, null, type.Name, name);
            else if (FindTarget(name, index) is { } found) targets.Add(Target(name, found.Member, found.Type, settings, index));
        }
    }

    /// <summary>The names as constants; null where the argument could not be bound at all (the compiler says so already).</summary>
    private IReadOnlyList<TypedConstant>? TargetNames()
    {
        if (attribute.ConstructorArguments is not [var names]) return null;
        if (names.Kind == TypedConstantKind.Error)
        {
            Report(ParseProblemKind.ArgumentNotConstant, arguments: "targets");
            return null;
        }
        return names.Kind == TypedConstantKind.Array ? names.IsNull ? [] : names.Values : [names];
    }

    private AdapterSettings ReadSettings()
    {
        var settings = new AdapterSettings();
        foreach (var argument in attribute.NamedArguments)
        {
            if (argument.Value.Kind == TypedConstantKind.Error) Report(ParseProblemKind.ArgumentNotConstant, setting: argument.Key, arguments: argument.Key);
            else if (AdaptSettings.Table.Settings.FirstOrDefault(one => one.Name == argument.Key) is { } setting && setting.ValueOf(argument.Value.Value) is { } value) settings = settings.With(setting, value);
        }
        Check(settings);
        return settings;
    }

    private void Check(AdapterSettings settings)
    {
        var variant = AdaptSettings.Table.VariantOf(settings.Variant);
        foreach (var setting in AdaptSettings.Table.Settings)
        {
            if (setting.ProblemOf(settings.Of(setting), variant) is { } problem) Report(ParseProblemKind.SettingNotUsable, -1, setting.Name, problem);
        }
        foreach (var setting in AdaptSettings.Table.Settings)
        {
            if (setting.IsWithoutEffect(settings.Of(setting), variant, inAttribute: true) && attribute.NamedArguments.Any(argument => argument.Key == setting.Name))
            {
                Report(ParseProblemKind.SettingUnusedByVariant, -1, setting.Name, setting.Name, settings.Variant.ToString());
            }
        }
    }

    private (ISymbol Member, ITypeSymbol Type)? FindTarget(string name, int index)
    {
        var member = TargetMembers.Find(type, name);
        if (member is null)
        {
            Report(ParseProblemKind.UnknownTarget, index, null, type.Name, name, TargetMembers.Nearest(type, name, types) ?? "");
            return null;
        }

        var memberType = TargetMembers.ReadableType(member);
        if (memberType is null) Report(ParseProblemKind.NotReadable, index, null, type.Name, name, Describe(member));
        else if (!TargetMembers.IsAccessibleIn(type, member)) Report(ParseProblemKind.Inaccessible, index, null, type.Name, name, member.ContainingType.Name);
        else if (member.IsStatic) Report(ParseProblemKind.StaticTarget, index, null, type.Name, name);
        else if (TargetMembers.ModuleType(memberType, types) is not null) return (member, memberType);
        // A type that does not exist is the compiler's to report.
        else if (memberType.TypeKind != TypeKind.Error) Report(ParseProblemKind.TargetNotAModule, index, null, type.Name, name, memberType.ToDisplayString());
        return null;
    }

    private static string Describe(ISymbol member) => member is IPropertySymbol ? "property without a getter" : member is INamedTypeSymbol ? "type" : member.Kind.ToString().ToLowerInvariant();

    private AdaptedTarget Target(string name, ISymbol member, ITypeSymbol memberType, AdapterSettings settings, int index) => new(
        name,
        Kind: KindOf(memberType),
        IsProperty: member is IPropertySymbol,
        DeclaredType: memberType.ToDisplayString(SymbolNames.FullyQualifiedNullable),
        ElementType: TargetMembers.ModuleType(memberType, types)!.ToDisplayString(SymbolNames.FullyQualified),
        DeclaringType: AdaptedClassParser.MetadataNameOf(member.ContainingType),
        Module: types.ShapeOf(TargetMembers.ModuleType(memberType, types)!),
        Settings: settings,
        AttributeIndex: attributeIndex,
        TargetIndex: index);

    private TargetKind KindOf(ITypeSymbol memberType)
    {
        if (types.IsTensorModule(memberType)) return TargetKind.Module;
        if (memberType is IArrayTypeSymbol) return TargetKind.Array;
        if (types.ModuleOfDictionary(memberType) is not null) return types.IsModule(memberType) ? TargetKind.ModuleDict : TargetKind.Dictionary;
        return WellKnownTypes.Same(memberType.OriginalDefinition, types.ModuleList) ? TargetKind.ModuleList : TargetKind.Sequence;
    }

    private void Report(ParseProblemKind kind, int targetIndex = -1, string? setting = null, params string[] arguments) =>
        problems.Add(new ParseProblem(kind, attributeIndex, targetIndex, setting, arguments.ToEquatableArray()));
}
