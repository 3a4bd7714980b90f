using Fossil.CodeModel.Declarations;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Xunit.Abstractions;

namespace Fossil.Generators.Tests;

/// <summary>A graph of names that has gone on from version to version says what one says that is made from the last version alone.</summary>
public class NameGraphTests(ITestOutputHelper output)
{
    private const int Versions = 1500;
    private static readonly string[] Names = ["A", "B", "C", "D", "E", "F", "G", "H", "Select", "Add"];

    [Fact]
    public void GoingOnEqualsStartingAnew()
    {
        var random = new Random(1);
        var compilation = CSharpCompilation.Create("Names", Enumerable.Range(0, 12).Select(_ => File(random)));
        var reader = new DeclarationReader();
        var compared = 0;
        for (var version = 0; version < Versions; version++)
        {
            var goneOn = reader.Read(compilation, default);
            var anew = new DeclarationReader().Read(compilation, default);
            // In some versions only a few files are asked for, so that the next one finds others that nothing is known of, or nothing new.
            var files = Enumerable.Range(0, goneOn.Files.Count).OrderBy(_ => random.Next()).Take(random.Next(3) == 0 ? random.Next(4) : int.MaxValue);
            foreach (var file in files)
            {
                Assert.True(anew.FingerprintOfText(file) == goneOn.FingerprintOfText(file), $"the text of file {file} in version {version}");
                Assert.True(anew.FingerprintOfDeclarations(file) == goneOn.FingerprintOfDeclarations(file), $"the declarations of file {file} in version {version}");
                compared++;
            }
            compilation = Edit(compilation, random);
        }
        output.WriteLine($"{Versions} versions, {compared} files compared");
    }

    [Fact]
    public void AnEarlierVersionStillSaysTheSame()
    {
        var random = new Random(2);
        var reader = new DeclarationReader();
        var first = CSharpCompilation.Create("Names", Enumerable.Range(0, 12).Select(_ => File(random)));
        var second = Edit(first, random);
        ulong[] Ask(Compilation version) => [.. Enumerable.Range(0, 12).Select(file => reader.Read(version, default).FingerprintOfText(file))];

        var before = Ask(first);
        var after = Ask(second);

        Assert.NotEqual(before, after);
        Assert.Equal(before, Ask(first));
        Assert.Equal(after, Ask(second));
    }

    [Fact]
    public void OnlyWhatLeadsToAnEditChanges()
    {
        var reader = new DeclarationReader();
        SyntaxTree[] trees = [.. new[] { "class A { B b; }", "class B { }", "class C { }", "class D { void M() { A a; } }" }.Select(text => CSharpSyntaxTree.ParseText(text))];
        var compilation = CSharpCompilation.Create("Names", trees);
        ulong[] Ask(Func<ProjectDeclarations, int, ulong> ask) => [.. Enumerable.Range(0, 4).Select(file => ask(reader.Read(compilation, default), file))];
        var (declarations, texts) = (Ask((project, file) => project.FingerprintOfDeclarations(file)), Ask((project, file) => project.FingerprintOfText(file)));

        compilation = compilation.ReplaceSyntaxTree(trees[1], CSharpSyntaxTree.ParseText("class B { int i; }"));

        Assert.Equal([true, true, false, false], Ask((project, file) => project.FingerprintOfDeclarations(file)).Zip(declarations, (now, before) => now != before));
        Assert.Equal([true, true, false, true], Ask((project, file) => project.FingerprintOfText(file)).Zip(texts, (now, before) => now != before));
    }

    [Fact]
    public void ProjectsOfOneProcessDoNotTakeEachOthersPlace()
    {
        var reader = new DeclarationReader();
        CSharpCompilation[] projects =
        [
            GeneratorHarness.Compile(EmittedCodeTests.Attention),
            GeneratorHarness.Compile(EmittedCodeTests.Attention.Replace("q_proj", "k_proj")),
            GeneratorHarness.Compile(EmittedCodeTests.Attention, GeneratorHarness.ParseOptions().WithPreprocessorSymbols("NET8_0")),
            GeneratorHarness.Compile(EmittedCodeTests.Attention.Replace("v_proj", "o_proj"), GeneratorHarness.ParseOptions().WithPreprocessorSymbols("NET10_0")),
        ];
        // The last two are one project for two frameworks.
        projects[3] = projects[3].WithAssemblyName(projects[2].AssemblyName);
        var before = projects.Select(project => reader.Read(project, default)).ToList();
        Assert.Equal(4, before.Select(read => read.Targets).Distinct().Count());

        for (var keystroke = 0; keystroke < 3; keystroke++)
        {
            for (var at = 0; at < projects.Length; at++)
            {
                var tree = projects[at].SyntaxTrees[0];
                projects[at] = projects[at].ReplaceSyntaxTree(tree, tree.WithChangedText(Microsoft.CodeAnalysis.Text.SourceText.From(tree.GetText() + "// typed\n", System.Text.Encoding.UTF8)));
                var now = reader.Read(projects[at], default);
                Assert.Same(before[at].Targets, now.Targets);
                Assert.Equal(before[at].FingerprintOfText(0), now.FingerprintOfText(0));
            }
        }
    }

    /// <summary>Mostly one file, at times several, and now and then a file more or less.</summary>
    private static CSharpCompilation Edit(CSharpCompilation compilation, Random random)
    {
        if (random.Next(20) == 0) return compilation.AddSyntaxTrees(File(random));
        if (random.Next(20) == 0 && compilation.SyntaxTrees.Length > 6) return compilation.RemoveSyntaxTrees(compilation.SyntaxTrees[random.Next(compilation.SyntaxTrees.Length)]);
        for (var count = random.Next(3) == 0 ? random.Next(1, 4) : 1; count > 0; count--)
        {
            compilation = compilation.ReplaceSyntaxTree(compilation.SyntaxTrees[random.Next(compilation.SyntaxTrees.Length)], File(random));
        }
        return compilation;
    }

    /// <summary>Types that mention each other in declarations and bodies, cycles and names that are declared twice or nowhere among them.</summary>
    private static SyntaxTree File(Random random)
    {
        string Name() => Names[random.Next(Names.Length)];
        var text = "";
        if (random.Next(8) == 0) text += $"global using static {Name()};\n";
        if (random.Next(3) == 0) text += $"namespace {Name()};\n";
        for (var count = random.Next(3); count > 0; count--)
        {
            text += random.Next(5) switch
            {
                0 => $"class {Name()} : {Name()} {{ }}\n",
                1 => $"class {Name()} {{ {Name()} field; }}\n",
                2 => $"class {Name()} {{ void Method() {{ {Name()} local; }} }}\n",
                3 => $"static class {Name()} {{ public static {Name()} {Name()}(this {Name()} x) => null; }}\n",
                _ => $"class {Name()} {{ }}\n",
            };
        }
        return CSharpSyntaxTree.ParseText(text);
    }
}
