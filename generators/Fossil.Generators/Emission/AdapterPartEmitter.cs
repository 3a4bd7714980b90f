using System.Globalization;
using Fossil.CodeModel;
using Microsoft.CodeAnalysis.Text;

namespace Fossil.Generators.Emission;

/// <summary>Writes the part of an annotated class that tells the run time its targets.</summary>
internal static class AdapterPartEmitter
{
    private const string Collector = $"{GeneratedFile.CompilerServices}.AdapterTargetCollector";

    /// <summary>A file name that is unique in the compilation and the same in each build: the metadata name, numbered where another differs from it only in case.</summary>
    public static string HintName(AdaptedClass model, EquatableArray<string> sameNames)
    {
        var rivals = sameNames.Where(name => string.Equals(name, model.MetadataName, StringComparison.OrdinalIgnoreCase)).ToList();
        var number = rivals.IndexOf(model.MetadataName);
        return number > 0 ? $"{model.MetadataName}.{Text(number + 1)}.Fossil.g.cs" : $"{model.MetadataName}.Fossil.g.cs";
    }

    /// <summary>The names, sorted, that equal another one when case does not count. Nearly always none.</summary>
    public static EquatableArray<string> NamesThatDifferInCase(IEnumerable<string> names) => names
        .GroupBy(name => name, StringComparer.OrdinalIgnoreCase)
        .Where(group => group.Count() > 1)
        .SelectMany(group => group)
        .OrderBy(name => name, StringComparer.Ordinal)
        .ToEquatableArray();

    public static SourceText Emit(AdaptedClass model)
    {
        var writer = GeneratedFile.Begin($"The adaptable projections of {model.MetadataName}, for Fossil's run time.");
        EmitNamespace(writer, model);
        return writer.ToSourceText();
    }

    private static void EmitNamespace(IndentedWriter writer, AdaptedClass model)
    {
        if (model.Namespace.Length == 0)
        {
            EmitDeclaration(writer, model, level: 0);
            return;
        }
        using (writer.Block($"namespace {model.Namespace}")) EmitDeclaration(writer, model, level: 0);
    }

    private static void EmitDeclaration(IndentedWriter writer, AdaptedClass model, int level)
    {
        var declaration = model.Declarations[level];
        var isClassItself = level == model.Declarations.Count - 1;
        var bases = isClassItself && !model.HasAdaptedBase ? $" : {GeneratedFile.CompilerServices}.IFossilAdaptable" : "";
        using (writer.Block($"partial {declaration.Keyword} {declaration.Name}{bases}"))
        {
            if (isClassItself) EmitMembers(writer, model);
            else EmitDeclaration(writer, model, level + 1);
        }
    }

    private static void EmitMembers(IndentedWriter writer, AdaptedClass model)
    {
        writer.Line("/// <summary>Tells the run time the projections that can be adapted, with the settings of their attributes.</summary>");
        if (model is { IsSealed: true, HasAdaptedBase: false })
        {
            using (writer.Block($"void {GeneratedFile.CompilerServices}.IFossilAdaptable.CollectAdapterTargets({Collector} targets)")) EmitTargets(writer, model);
            return;
        }

        // Classes that derive from this one add their own targets by overriding one method.
        if (!model.HasAdaptedBase)
        {
            writer.Line($"void {GeneratedFile.CompilerServices}.IFossilAdaptable.CollectAdapterTargets({Collector} targets) => {WellKnownNames.CollectMethod}(targets);");
            writer.Line();
            writer.Line("/// <summary>Adds the targets of this class; a derived class adds its own.</summary>");
        }
        writer.Line("[global::System.ComponentModel.EditorBrowsable(global::System.ComponentModel.EditorBrowsableState.Never)]");
        using (writer.Block($"protected {(model.HasAdaptedBase ? "override" : "virtual")} void {WellKnownNames.CollectMethod}({Collector} targets)"))
        {
            if (model.HasAdaptedBase) writer.Line($"base.{WellKnownNames.CollectMethod}(targets);");
            EmitTargets(writer, model);
        }
    }

    private static void EmitTargets(IndentedWriter writer, AdaptedClass model)
    {
        foreach (var group in model.Targets.GroupBy(target => target.AttributeIndex))
        {
            var defaults = $"defaults{group.Key}";
            var settings = group.First().Settings;
            writer.Line($"{GeneratedFile.CompilerServices}.AdapterDefaults {defaults} = {Defaults(settings)};");
            foreach (var target in group)
            {
                var value = $"this.{SymbolNames.EscapeMember(target.Member)}";
                if (target.Kind is TargetKind.ModuleDict or TargetKind.Dictionary)
                {
                    EmitEntries(writer, target.Member, value, defaults);
                    continue;
                }
                var method = target.Kind == TargetKind.Module ? "Add" : "AddRange";
                writer.Line($"targets.{method}({GeneratedFile.Literal(target.Member)}, {value}, {defaults});");
            }
        }
    }

    /// <summary>The modules of a dictionary go by their keys, as TorchSharp names those of a <c>ModuleDict</c>.</summary>
    private static void EmitEntries(IndentedWriter writer, string member, string value, string defaults)
    {
        using (writer.Block($"if ({value} is {{ }} {member}ByName)"))
        {
            writer.Line($"foreach (string name in {member}ByName.Keys) targets.Add({GeneratedFile.Literal(member + ".")} + name, {member}ByName[name], {defaults});");
        }
    }

    private static string Defaults(AdapterSettings settings)
    {
        var arguments = AdaptSettings.Table.Settings.Where(setting => !setting.OmittedAtDefault).Select(setting => $"{setting.Name}: {Literal(settings.Of(setting))}");
        var others = AdaptSettings.Table.Settings.Where(setting => setting.OmittedAtDefault && !settings.Of(setting).Equals(setting.DefaultValue)).Select(setting => $"{setting.Name} = {Literal(settings.Of(setting))}").ToList();
        return $"new({string.Join(", ", arguments)}){(others.Count > 0 ? $" {{ {string.Join(", ", others)} }}" : string.Empty)}";
    }

    private static string Literal(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        double.NaN => "double.NaN",
        double.PositiveInfinity => "double.PositiveInfinity",
        double.NegativeInfinity => "double.NegativeInfinity",
        double number => number.ToString("R", CultureInfo.InvariantCulture) + "D",
        Enum member when Enum.IsDefined(member.GetType(), member) => $"global::{member.GetType().FullName}.{member}",
        Enum number => $"(global::{number.GetType().FullName})({number:D})",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture),
    };

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
