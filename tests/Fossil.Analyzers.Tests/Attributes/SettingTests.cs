using System.Globalization;
using System.Reflection;
using Fossil.Analyzers.Attributes;
using Fossil.Analyzers.Tests.Support;
using Fossil.CodeModel;
using Fossil.CompilerServices;
using Fossil.Methods;
using Fossil.Methods.Miss;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Fossil.Analyzers.Tests.Attributes;

/// <summary>What the settings' declarations say is what attribute, configurations and analyzers have; compiler and run time refuse the same in the same words.</summary>
public class SettingTests
{
    private static readonly Assembly RunTime = typeof(AdapterConfig).Assembly;

    public static TheoryData<string> Configurations => [.. RunTime.GetTypes().Where(type => type.IsSubclassOf(typeof(AdapterConfig))).Select(type => type.FullName!)];

    [Theory]
    [MemberData(nameof(Configurations))]
    public void A_configuration_has_the_settings_that_its_method_declares(string configuration)
    {
        var type = RunTime.GetType(configuration)!;
        var table = Assert.Single(ConfigurationTables.All, table => table.Type == configuration);
        AssertSame(table.Settings, Plain(type), Activator.CreateInstance(type)!);
        Assert.All(table.Settings, setting => Assert.Null(setting.ProblemOf(setting.DefaultValue, table.VariantOf(table.Variant?.DefaultValue))));
    }

    [Fact]
    public void The_attribute_has_the_settings_that_are_declared_for_it() =>
        AssertSame(AdaptSettings.Table.Settings, Plain(typeof(FossilAdaptAttribute)), new FossilAdaptAttribute());

    [Fact]
    public void Generated_code_can_hand_on_each_of_them()
    {
        AssertSame(AdaptSettings.Table.Settings, Plain(typeof(AdapterDefaults)), new AdapterDefaults());
        var parameters = typeof(AdapterDefaults).GetConstructors().Single(constructor => constructor.GetParameters().Length > 1).GetParameters();
        Assert.Equal(AdaptSettings.Table.Settings.Where(setting => !setting.OmittedAtDefault).Select(setting => setting.Name), parameters.Select(parameter => parameter.Name));
    }

    [Fact]
    public void Variants_are_the_run_times()
    {
        // The one file is compiled into both.
        Assert.Equal(RunTime.GetType("Fossil.FossilVariant")!.GetEnumNames(), AdaptSettings.Variant.Type.GetEnumNames());
        Assert.Equal("use Balance, Mini or Bat", AdaptSettings.Variant.ProblemOf(Enum.ToObject(AdaptSettings.Variant.Type, 7))!.Split(": ")[1]);
    }

    /// <summary>Values of a setting's type: on, within and beyond any bounds.</summary>
    private static object[] ValuesOf(Type type) => type switch
    {
        _ when type == typeof(int) => [int.MinValue, -1, 0, 1, 2, int.MaxValue],
        _ when type == typeof(long) => [long.MinValue, 0L, 1L],
        _ when type == typeof(double) => [double.NegativeInfinity, -0.1, -0.0, 0.0, 0.5, 1.0, 1.5, double.NaN, double.PositiveInfinity],
        _ when type == typeof(bool) => [false, true],
        _ => [.. new[] { -1, 0, 1, 2, 3, 7 }.Select(number => Enum.ToObject(type, number))],
    };

    /// <summary>How a program writes the value.</summary>
    private static string Literal(object value) => value switch
    {
        double number when double.IsNaN(number) => "double.NaN",
        double number when double.IsInfinity(number) => number > 0 ? "double.PositiveInfinity" : "double.NegativeInfinity",
        bool flag => flag ? "true" : "false",
        Enum member => $"(FossilVariant)({member:D})",
        long.MinValue => "long.MinValue",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    [Theory]
    [MemberData(nameof(Configurations))]
    public async Task The_compiler_says_of_a_configuration_what_the_run_time_throws(string configuration)
    {
        var table = ConfigurationTables.All.Single(table => table.Type == configuration);
        object?[] variants = [null, .. table.Variant is { } chooser ? ValuesOf(chooser.Type) : []];
        var cases = (from setting in table.Settings from value in ValuesOf(setting.Type) from variant in variants where variant is null || setting != table.Variant select (setting, value, variant)).ToList();

        var lines = cases.Select(one => $"{{ {(one.variant is null ? "" : $"{table.Variant!.Name} = {Literal(one.variant)}, ")}{one.setting.Name} = {Literal(one.value)} }};")
            .Select((values, number) => $"    static readonly {configuration} C{number} = new() {values}");
        var said = await ReportsByLine<ConfigurationSettings>($"static class Cases {{\n{string.Join("\n", lines)}\n}}");

        for (var line = 0; line < cases.Count; line++)
        {
            var (setting, value, variant) = cases[line];
            var config = (AdapterConfig)Activator.CreateInstance(RunTime.GetType(configuration)!)!;
            if (variant is not null) Set(config, table.Variant!, variant);
            Set(config, setting, value);
            AssertSaid(Problem(config), said[line + 1]);
        }
    }

    [Fact]
    public async Task The_compiler_says_of_an_attribute_what_the_run_time_throws_of_a_configuration()
    {
        var cases = AdaptSettings.Table.Settings.SelectMany(setting => ValuesOf(setting.Type), (setting, value) => (setting, value)).ToList();
        var lines = cases.Select((one, number) =>
            $"[FossilAdapt(\"up\", {one.setting.Name} = {Literal(one.value)})] public partial class C{number}() : Module<Tensor, Tensor>(\"C\") {{ readonly Linear up = Linear(64, 64); public override Tensor forward(Tensor x) => x; }}");
        var said = await ReportsByLine<AdaptAttributeAnalyzer>("\n" + string.Join("\n", lines));
        for (var line = 0; line < cases.Count; line++)
        {
            var (setting, value) = cases[line];
            var config = new FossilConfig();
            if (FossilSettings.Table.Settings.Contains(setting)) Set(config, setting, value);
            AssertSaid(Problem(config), said[line + 1]);
        }
    }

    /// <summary>An attribute is written by hand, so what it says without need is a mistake; a configuration may be written out by a program.</summary>
    [Theory]
    [InlineData("MiniSize = 1", true, false)]
    [InlineData("MiniSize = 2", true, true)]
    [InlineData("Variant = FossilVariant.Bat, Dropout = 0", false, false)]
    [InlineData("Variant = FossilVariant.Bat, Dropout = 0.1", true, true)]
    [InlineData("Variant = FossilVariant.Bat, AllowPadding = false", false, false)]
    [InlineData("Variant = FossilVariant.Bat, AllowPadding = true", true, true)]
    [InlineData("Variant = FossilVariant.Mini, MiniSize = 1", false, false)]
    public async Task An_attribute_does_not_write_a_default_that_no_variant_reads(string settings, bool inAttribute, bool inConfiguration)
    {
        var attribute = await ReportsByLine<AdaptAttributeAnalyzer>($"[FossilAdapt(\"up\", {settings})] public partial class C() : Module<Tensor, Tensor>(\"C\") {{ readonly Linear up = Linear(64, 64); public override Tensor forward(Tensor x) => x; }}");
        var configuration = await ReportsByLine<ConfigurationSettings>($"static class C {{ static readonly FossilConfig Config = new() {{ {settings} }}; }}");
        Assert.Equal(inAttribute ? ["FOSSIL015"] : [], attribute[0].Select(report => report.Id));
        Assert.Equal(inConfiguration ? ["FOSSIL015"] : [], configuration[0].Select(report => report.Id));
    }

    private static async Task<ILookup<int, Diagnostic>> ReportsByLine<TAnalyzer>(string source)
        where TAnalyzer : DiagnosticAnalyzer, new()
    {
        var options = new CSharpParseOptions(LanguageVersion.CSharp14);
        var compilation = CSharpCompilation.Create(
            "Settings", [CSharpSyntaxTree.ParseText(source, options), CSharpSyntaxTree.ParseText(Verify.Usings, options)], References.All, new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
        Assert.Empty(compilation.GetDiagnostics().Where(one => one.Severity == DiagnosticSeverity.Error));
        var reports = await compilation.WithAnalyzers([new TAnalyzer()], new AnalyzerOptions([])).GetAnalyzerDiagnosticsAsync();
        return reports.ToLookup(report => report.Location.GetLineSpan().StartLinePosition.Line);
    }

    private static void Set(AdapterConfig config, Setting setting, object value)
    {
        var property = config.GetType().GetProperty(setting.Name)!;
        property.SetValue(config, property.PropertyType.IsEnum ? Enum.ToObject(property.PropertyType, Convert.ToInt32(value, CultureInfo.InvariantCulture)) : value);
    }

    /// <summary>The run time throws the first of what the compiler reports.</summary>
    private static void AssertSaid(string? thrown, IEnumerable<Diagnostic> reports)
    {
        var errors = reports.Where(report => report.Severity == DiagnosticSeverity.Error).Select(report => report.GetMessage(CultureInfo.InvariantCulture)).ToList();
        if (thrown is null) Assert.Empty(errors);
        else Assert.Contains(thrown, errors);
    }

    /// <summary>What the run time refuses, without the field's name; null where it refuses nothing.</summary>
    private static string? Problem(AdapterConfig config)
    {
        var error = Record.Exception(config.Validate);
        return error is null ? null : Assert.IsType<ConfigurationException>(error).Message.Split(": ", 2)[1];
    }

    private static IEnumerable<PropertyInfo> Plain(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
        .Where(property => property.CanWrite && (property.PropertyType.IsPrimitive || property.PropertyType.IsEnum));

    private static void AssertSame(IEnumerable<Setting> settings, IEnumerable<PropertyInfo> properties, object fresh) => Assert.Equal(
        settings.Select(setting => (setting.Name, setting.Type.FullName, Text(setting.DefaultValue))).Order(),
        properties.Select(property => (property.Name, property.PropertyType.FullName, Text(property.GetValue(fresh)!))).Order());

    private static string? Text(object value) => Convert.ToString(value, CultureInfo.InvariantCulture);
}
