using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Xunit.Abstractions;

namespace Fossil.Generators.Tests;

/// <summary>Programs as they are while somebody types: the generator neither throws nor hangs.</summary>
public class BrokenProgramTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("[FossilAdapt")]
    [InlineData("[FossilAdapt(")]
    [InlineData("[FossilAdapt(\"p\"")]
    [InlineData("[FossilAdapt(\"p\")]")]
    [InlineData("[FossilAdapt(\"p\")] partial class")]
    [InlineData("[FossilAdapt(\"p\")] partial class A")]
    [InlineData("[FossilAdapt(\"p\")] partial class A : ")]
    [InlineData("[FossilAdapt(\"p\")] partial class A : A { }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A : B { } [FossilAdapt(\"p\")] partial class B : A { }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A<T> : Module where T : T { T p; }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A<T, U> : Module where T : U where U : T { T p; Tensor F(Tensor x) => p.forward(x); }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A : Module { Missing p; Tensor F(Tensor x) => p.forward(x); }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A : Module { Missing<Linear>[] p; Linear p; Linear p => null; void p() { } }")]
    [InlineData("[FossilAdapt(null)] partial class A() : Module(\"m\");")]
    [InlineData("[FossilAdapt(null, null)] partial class A() : Module(\"m\");")]
    [InlineData("[FossilAdapt((string[])null!)] partial class A() : Module(\"m\");")]
    [InlineData("[FossilAdapt(1, 'c', default, typeof(A), ShardSize = \"x\", Variant = 7, Nothing = 3)] partial class A() : Module(\"m\");")]
    [InlineData("[FossilAdapt(\"\", \" \", \"a b\", \"\\0\", \"p.q\", ShardSize = int.MinValue)] partial class A() : Module(\"m\");")]
    [InlineData("[FossilAdapt(\"p\", ShardSize = int.MaxValue, Dropout = double.NaN, Variant = (FossilVariant)99)] partial class A() : Module(\"m\") { Linear p = Linear(8, 8); }")]
    [InlineData("[FossilAdapt(\"p\")] partial struct A { Linear p; }")]
    [InlineData("[FossilAdapt(\"p\")] partial interface A { Linear p { get; } }")]
    [InlineData("[FossilAdapt(\"p\")] enum A { p }")]
    [InlineData("[assembly: FossilAdapt(\"p\")]")]
    [InlineData("[FossilAdapt(\"this[]\", \"Item\", \".ctor\")] partial class A() : Module(\"m\") { Linear this[int i] => null!; }")]
    [InlineData("[FossilAdapt(\"E\", \"M\", \"N\", \"W\")] partial class A() : Module(\"m\") { event Action E; void M() { } class N; Linear W { set { } } }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A() : Module(\"m\") { Linear p = Linear(8, 8); Tensor F(Tensor x) => p.forward( }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A() : Module(\"m\") { Linear p = Linear(8, 8); Tensor F(Tensor x) => p?.forward(x)?.; }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A() : Module(\"m\") { Linear p = Linear(8, 8); Tensor F(dynamic x) => p.forward(x); Tensor G(dynamic p, Tensor x) => p.forward(x); }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A() : Module(\"m\") { Linear p = Linear(8, 8); void F() { forward(1); call(); p.forward(); p.forward(1, 2); p.forward<int>(null); } }")]
    public void AreLeftAlone(string source) => RunWithoutException(GeneratorHarness.Compile(source));

    [Fact]
    public void AProgramCutOffAnywhereIsLeftAlone()
    {
        var source = EmittedCodeTests.Attention;
        var programs = 0;
        for (var length = 1; length < source.Length; length += 7, programs++) RunWithoutException(GeneratorHarness.Compile(source[..length]));
        output.WriteLine($"{programs} programs cut off: no exception");
    }

    [Fact]
    public void AProgramWithoutAnyTokenIsLeftAlone()
    {
        var tokens = CSharpSyntaxTree.ParseText(EmittedCodeTests.Attention).GetRoot().DescendantTokens().ToList();
        var programs = 0;
        for (var index = 0; index < tokens.Count; index += 2, programs++) RunWithoutException(GeneratorHarness.Compile(EmittedCodeTests.Attention.Remove(tokens[index].SpanStart, tokens[index].Span.Length)));
        output.WriteLine($"{programs} programs without a token: no exception");
    }

    [Fact]
    public void MissingReferencesAreLeftAlone()
    {
        var compilation = GeneratorHarness.Compile(EmittedCodeTests.Attention);
        foreach (var missing in (string[])["TorchSharp", "Fossil", "System.Runtime"])
        {
            RunWithoutException(compilation.WithReferences(compilation.References.Where(reference => Path.GetFileNameWithoutExtension(reference.Display) != missing)));
        }
        RunWithoutException(compilation.WithReferences());
    }

    [Fact]
    public void AFileThatIsThereTwiceGetsNoInterceptors()
    {
        var model = EmittedCodeTests.Attention.Replace("private readonly", "public readonly");
        const string user = "file static class User { static Tensor Run(My.Models.SelfAttention a, Tensor x) => a.q_proj.forward(x); }";
        var generated = GeneratorHarness.Run(GeneratorHarness.Compile([model, user, user]));

        Assert.Empty(generated.Problems);
        Assert.DoesNotContain("Source1.Interceptors.g.cs", generated.Files.Keys);
    }

    [Fact]
    public void FilesOfTheSameNameEachGetTheirInterceptors()
    {
        var options = GeneratorHarness.ParseOptions();
        string[] users = ["class A { Tensor Run(My.Models.SelfAttention a, Tensor x) => a.q_proj.forward(x); }", "class B { Tensor Run(My.Models.SelfAttention a, Tensor x) => a.q_proj.call(x); }"];
        var compilation = GeneratorHarness.Compile(EmittedCodeTests.Attention.Replace("private readonly", "public readonly"))
            .AddSyntaxTrees(users.Select((user, index) => CSharpSyntaxTree.ParseText(user, options, $"/project/folder{index}/User file.cs", System.Text.Encoding.UTF8)));
        var generated = GeneratorHarness.Run(compilation);

        Assert.Empty(generated.Problems);
        Assert.Contains("User_file.Interceptors.g.cs", generated.Files.Keys);
        Assert.Contains("User_file_2.Interceptors.g.cs", generated.Files.Keys);
    }

    private static void RunWithoutException(CSharpCompilation compilation)
    {
        var result = GeneratorHarness.Driver().RunGenerators(compilation).GetRunResult();
        Assert.Null(result.Results.Single().Exception);
    }
}
