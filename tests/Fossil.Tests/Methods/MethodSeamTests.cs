using System.Reflection;
using System.Text.RegularExpressions;
using Fossil.Adapters;

namespace Fossil.Tests.Methods;

/// <summary>A method is one folder and one line: what it declares, and that nothing else names it.</summary>
public partial class MethodSeamTests
{
    private static readonly string Source = Path.Combine(typeof(MethodSeamTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(entry => entry.Key == "RepositoryRoot").Value!, "src");
    private static readonly string Registry = Path.Combine(Source, "Fossil", "Adapters", "AdapterMethods.cs");

    public static TheoryData<string> Methods() => [.. AdapterMethods.All.Select(method => method.PeftType)];

    [Theory]
    [MemberData(nameof(Methods))]
    public void Nothing_outside_its_folder_names_a_method_but_one_line(string peftType)
    {
        var method = Method(peftType);
        var folder = Folder(method);
        var own = Files(folder).ToHashSet();
        var names = own.SelectMany(file => Declaration().Matches(Code(File.ReadAllText(file)))).Select(match => match.Groups["name"].Value)
            .Concat(method.PeftTypes).Concat(method.ParameterNames.SelectMany(name => (string?[])[name.Kind, name.FileSuffix, name.EarlierFileSuffix])).OfType<string>().Distinct().ToArray();
        Assert.Contains(method.GetType().Name, names);

        var word = new Regex($@"(?<![\w.])(?:\w+\.)*(?:{string.Join('|', names.Select(Regex.Escape))})(?!\w)");
        var places = from file in Files(Source)
                     where !own.Contains(file)
                     from line in Code(File.ReadAllText(file)).Split('\n')
                     where word.IsMatch(line)
                     select (file, Line: line.Trim());
        Assert.Equal([(Registry, $"Methods.{Path.GetFileName(folder)}.{method.GetType().Name}.Instance,")], places);
    }

    [Fact]
    public void Every_folder_is_of_one_method() =>
        Assert.Equal(Directory.GetDirectories(Path.Combine(Source, "Fossil", "Methods")).Order(), AdapterMethods.All.Select(Folder).Order());

    [Fact]
    public void No_two_methods_share_a_name()
    {
        Assert.Distinct(AdapterMethods.All.SelectMany(method => method.PeftTypes));
        Assert.Distinct(AdapterMethods.All.SelectMany(method => method.ParameterNames).Select(name => name.FileSuffix));
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void A_method_reads_its_configuration_and_accepts_no_other(string peftType)
    {
        var method = Method(peftType);
        foreach (var name in method.PeftTypes)
        {
            var config = AdapterConfig.Parse($$"""{"peft_type": "{{name}}", "target_modules": ["proj"]}""");
            Assert.Equal(method.PeftType, config.PeftType);
            Assert.Equal([method], AdapterMethods.All.Where(other => other.Accepts(config)));
            Assert.Equal(method.PeftType, AdapterConfig.Parse(config.ToJson()).PeftType);
        }
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void What_it_cannot_do_is_refused(string peftType)
    {
        var method = Method(peftType);
        foreach (var ability in Enum.GetValues<AdapterAbilities>())
        {
            if (method.Abilities.HasFlag(ability)) method.Require(ability, "poems", "do it");
            else Assert.Contains($"'poems' is an adapter of the method {peftType}", Assert.Throws<AdapterCombinationException>(() => method.Require(ability, "poems", "do it")).Message);
        }
    }

    private static AdapterMethod Method(string peftType) => AdapterMethods.All.Single(method => method.PeftType == peftType);

    private static string Folder(AdapterMethod method) => Path.Combine(Source, "Fossil", "Methods", method.GetType().Namespace!.Split('.')[^1]);

    private static IEnumerable<string> Files(string folder) =>
        Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories).Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal));

    // Comments may say what a thing is an example of.
    private static string Code(string text) => Comment().Replace(text, string.Empty);

    [GeneratedRegex(@"^\s*//.*$|(?<=\s)// .*$", RegexOptions.Multiline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"^(?:public|internal) .*?\b(?:class|record|struct|interface|enum) (?:struct )?(?<name>\w+)", RegexOptions.Multiline)]
    private static partial Regex Declaration();
}
