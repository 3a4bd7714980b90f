using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.Generators.Tests;

/// <summary>Every form of class compiles with its generated part and lists its targets.</summary>
public class ClassFormTests
{
    private const string Body = "{ public Linear p = Linear(8, 8); public Module<Tensor, Tensor>[] ps = [Linear(8, 8)]; public NAME() : base(\"m\") { RegisterComponents(); } public override Tensor forward(Tensor x) => p.forward(x); }";

    private static string Class(string declaration, string name) =>
        $"[FossilAdapt(\"p\", \"ps\", Variant = FossilVariant.Bat)] {declaration} : Module<Tensor, Tensor> {Body.Replace("NAME", name)}";

    public static TheoryData<string, string> Forms() => new()
    {
        { "global namespace", Class("sealed partial class A", "A") },
        { "file-scoped namespace", "namespace A.B;\n" + Class("partial class A", "A") },
        { "block namespaces", "namespace A { namespace B { " + Class("partial class A", "A") + " } }" },
        { "keyword namespace", "namespace @namespace.@class;\n" + Class("partial class A", "A") },
        { "keyword class", Class("partial class @class", "@class") },
        { "contextual keyword class", Class("partial class @record", "@record") },
        { "generic", Class("partial class A<T> where T : class, new()", "A").Replace("where T : class, new() : Module<Tensor, Tensor>", ": Module<Tensor, Tensor> where T : class, new()") },
        { "keyword type parameter", Class("partial class A<@in>", "A") },
        { "nested", "public partial class O { private protected partial class P { " + Class("private sealed partial class A", "A") + " } }" },
        { "nested in struct, record and interface", "partial struct S { partial record R { partial record struct T { partial interface I { " + Class("partial class A", "A") + " } } } }" },
        { "nested in generics", "partial class O<T> { partial record struct P<U, V> where U : struct { " + Class("partial class A<W>", "A") + " } }" },
        { "same name in two namespaces", "namespace X { " + Class("partial class A", "A") + " } namespace Y { " + Class("partial class A", "A") + " }" },
        { "same name with other arity", Class("partial class A", "A") + Class("partial class A<T>", "A") + Class("partial class A_1", "A_1") },
        { "same name but for case", Class("partial class Abc", "Abc") + Class("partial class ABC", "ABC") + Class("partial class abc", "abc") },
        { "same name nested", Class("partial class A", "A") + "partial class B { " + Class("partial class A", "A") + " }" },
        { "namespaces that shadow", "namespace My.Fossil { class TorchSharp; " + Class("partial class A", "A") + " } namespace My.System { " + Class("partial class A", "A") + " }" },
        { "abstract", Class("abstract partial class A", "A").Replace("public override Tensor forward(Tensor x) => p.forward(x);", "") },
        { "two attributes", "[FossilAdapt(\"ps\", ShardSize = 4, Variant = FossilVariant.Bat)]" + Class("partial class A", "A").Replace("\"p\", \"ps\"", "\"p\"") },
        { "two parts with an attribute each", "[FossilAdapt(\"ps\", ShardSize = 4, Variant = FossilVariant.Bat)] partial class A { } " + Class("partial class A", "A").Replace("\"p\", \"ps\"", "\"p\"") },
        { "constants of other classes", "static class Names { public const string P = \"p\"; public const int Size = 2 * 4; } " + Class("partial class A", "A").Replace("\"p\", \"ps\"", "Names.P, nameof(A.ps), ShardSize = Names.Size") },
        { "array argument", Class("partial class A", "A").Replace("\"p\", \"ps\"", "new[] { \"p\", \"ps\" }") },
        { "named array argument", Class("partial class A", "A").Replace("\"p\", \"ps\"", "targets: new string[] { \"p\", \"ps\" }") },
        { "aliased attribute", "using Adapt = Fossil.FossilAdaptAttribute;\n" + Class("partial class A", "A").Replace("[FossilAdapt(", "[Adapt(") },
        { "fully qualified attribute", Class("partial class A", "A").Replace("[FossilAdapt(", "[global::Fossil.FossilAdaptAttribute(") },
        { "primary constructor", "[FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class A(int size) : Module<Tensor, Tensor>(\"m\") { readonly Linear p = Linear(size, 8); public override Tensor forward(Tensor x) => p.forward(x); }" },
        { "keyword members", "[FossilAdapt(\"event\", \"value\", \"base\", Variant = FossilVariant.Bat)] partial class A() : Module(\"m\") { readonly Linear @event = Linear(8, 8), value = Linear(8, 8), @base = Linear(8, 8); }" },
        { "nullable, obsolete and virtual members", "[FossilAdapt(\"a\", \"b\", \"c\", Variant = FossilVariant.Bat)] partial class A() : Module(\"m\") { Linear? a = null; [Obsolete(\"old\")] Linear b = Linear(8, 8); public virtual Linear C => Linear(8, 8); protected Linear? c { get; private set; } }" },
        { "lists", "[FossilAdapt(\"a\", \"b\", \"c\", \"d\", \"e\", Variant = FossilVariant.Bat)] partial class A() : Module(\"m\") { ModuleList<Linear> a = ModuleList<Linear>(); List<Linear> b = []; IReadOnlyList<Module<Tensor, Tensor>> c = []; System.Collections.Immutable.ImmutableArray<Linear> d = []; Linear?[]? e = null; }" },
        { "dictionaries", "[FossilAdapt(\"a\", \"b\", \"c\", \"class\", \"e\", Variant = FossilVariant.Bat)] partial class A() : Module(\"m\") { ModuleDict<Linear> a = ModuleDict<Linear>(); Dictionary<string, Linear> b = []; IReadOnlyDictionary<string, Module<Tensor, Tensor>> c = new Dictionary<string, Module<Tensor, Tensor>>(); SortedDictionary<string, Linear?>? @class = null; System.Collections.Immutable.ImmutableDictionary<string, Linear> e = System.Collections.Immutable.ImmutableDictionary<string, Linear>.Empty; }" },
        { "type parameter target", "[FossilAdapt(\"a\", \"b\", Variant = FossilVariant.Bat)] partial class A<T>(T a, T[] b) : Module(\"m\") where T : Module<Tensor, Tensor> { readonly T a = a; readonly T[] b = b; }" },
        { "inherited target", "class B() : Module(\"m\") { protected Linear p = Linear(8, 8); } [FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class A : B { }" },
        { "annotated base", Class("partial class A", "A") + "[FossilAdapt(\"q\", Variant = FossilVariant.Bat)] partial class B : A { public Linear q = Linear(8, 8); } class C : B { } [FossilAdapt(\"r\", Variant = FossilVariant.Bat)] sealed partial class D : C { public Linear r = Linear(8, 8); }" },
        { "generic annotated base", Class("partial class A<T>", "A") + "[FossilAdapt(\"q\", Variant = FossilVariant.Bat)] sealed partial class B : A<int> { public Linear q = Linear(8, 8); }" },
        { "members called like what is emitted", "[FossilAdapt(\"targets\", \"defaults0\", Variant = FossilVariant.Bat)] partial class A() : Module(\"m\") { Linear targets = Linear(8, 8), defaults0 = Linear(8, 8); }" },
    };

    [Theory]
    [MemberData(nameof(Forms))]
    public void Compiles(string form, string source)
    {
        var generated = GeneratorHarness.Run(source);

        Assert.All(generated.Problems, problem => Assert.True(problem.Id is "CS0649" or "CS8618" or "CS0169" or "CS0414" or "CS8981", $"{form}: {problem}"));
        Assert.Contains(generated.Files.Keys, name => name.EndsWith(".Fossil.g.cs", StringComparison.Ordinal));
    }

    [Fact]
    public void AnnotatedBaseClassesOfALibraryAreExtended()
    {
        var library = GeneratorHarness.Run("namespace Library; [FossilAdapt(\"p\", ShardSize = 8)] public partial class Base() : Module(\"m\") { protected Linear p = Linear(8, 8); }");
        using var image = new MemoryStream();
        Assert.True(library.Compilation.Emit(image).Success);

        var consumer = GeneratorHarness.Run(GeneratorHarness.Compile(
            ["[FossilAdapt(\"q\", ShardSize = 8)] public partial class Derived : Library.Base { Linear q = Linear(8, 8); Tensor F(Tensor x) => q.forward(p.forward(x)); }"],
            null,
            Microsoft.CodeAnalysis.MetadataReference.CreateFromImage(image.ToArray())));

        Assert.Empty(consumer.Problems);
        Assert.Contains("base.CollectFossilAdapterTargets(targets);", consumer.Files["Derived.Fossil.g.cs"]);
        Assert.Equal(2, consumer.Interceptors.Split("// line ").Length - 1);
    }

    [Fact]
    public void FriendAssembliesMayHaveTheSameKernels()
    {
        const string model = "[FossilAdapt(\"p\", ShardSize = 8)] partial class M() : Module(\"m\") { Linear p = Linear(8, 8); }";
        var library = GeneratorHarness.Compile("namespace Library; " + model);
        var consumer = GeneratorHarness.Compile([model], null);
        var withFriend = library.AddSyntaxTrees(CSharpSyntaxTree.ParseText($"[assembly: System.Runtime.CompilerServices.InternalsVisibleTo(\"{consumer.AssemblyName}\")]", GeneratorHarness.ParseOptions(), "/project/Friend.cs", System.Text.Encoding.UTF8));
        using var image = new MemoryStream();
        Assert.True(GeneratorHarness.Run(withFriend).Compilation.Emit(image).Success);

        Assert.Empty(GeneratorHarness.Run(consumer.AddReferences(Microsoft.CodeAnalysis.MetadataReference.CreateFromImage(image.ToArray()))).Problems);
    }

    [Theory]
    [InlineData(LanguageVersion.CSharp7_3)]
    [InlineData(LanguageVersion.CSharp9)]
    [InlineData(LanguageVersion.CSharp10)]
    public void OldLanguageVersionsGetNothing(LanguageVersion version)
    {
        var generated = GeneratorHarness.Run(GeneratorHarness.Compile(OldSource, GeneratorHarness.ParseOptions(version)));
        Assert.Empty(generated.Files);
    }

    [Fact]
    public void TheOldestLanguageVersionThatIsServedCompiles()
    {
        var generated = GeneratorHarness.Run(GeneratorHarness.Compile(OldSource, GeneratorHarness.ParseOptions(LanguageVersion.CSharp11)));
        Assert.Empty(generated.Problems);
        Assert.Contains(generated.Files.Keys, name => name.EndsWith(".Interceptors.g.cs", StringComparison.Ordinal));
    }

    [Fact]
    public void WithoutTheInterceptorsNamespaceNoInterceptorsAreEmitted()
    {
        var generated = GeneratorHarness.Run(GeneratorHarness.Compile(EmittedCodeTests.Attention, GeneratorHarness.ParseOptions(interceptors: false)), interceptors: false);
        Assert.Empty(generated.Problems);
        Assert.Equal(["My.Models.SelfAttention.Fossil.g.cs", "ShardKernels64.g.cs"], generated.Files.Keys.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("[FossilAdapt(\"p\")] class A() : Module(\"m\") { Linear p = Linear(8, 8); }")]
    [InlineData("class O { [FossilAdapt(\"p\")] partial class A() : Module(\"m\") { Linear p = Linear(8, 8); } }")]
    [InlineData("[FossilAdapt(\"p\")] partial class A { Linear p = Linear(8, 8); }")]
    [InlineData("[FossilAdapt(\"p\")] static partial class A { static Linear p = Linear(8, 8); }")]
    [InlineData("[FossilAdapt(\"p\")] file partial class A() : Module(\"m\") { Linear p = Linear(8, 8); }")]
    public void ClassesThatCannotHaveAPartGetNone(string source) =>
        Assert.DoesNotContain(GeneratorHarness.Run(source).Files.Keys, name => !name.EndsWith(".Interceptors.g.cs", StringComparison.Ordinal));

    private const string OldSource = """
        using Fossil;
        using TorchSharp;
        using TorchSharp.Modules;

        namespace Old
        {
            [FossilAdapt("p", ShardSize = 8)]
            public partial class A : torch.nn.Module<torch.Tensor, torch.Tensor>
            {
                private readonly Linear p = torch.nn.Linear(8, 8);

                public A() : base("a") { RegisterComponents(); }

                public override torch.Tensor forward(torch.Tensor x) { return p.forward(x); }
            }
        }
        """;
}
