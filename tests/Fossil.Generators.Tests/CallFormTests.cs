using Microsoft.CodeAnalysis;

namespace Fossil.Generators.Tests;

/// <summary>
/// Every form of call, counted: <c>/*+*/</c> stands before each call that must be intercepted, <c>/*-*/</c> before each that must not. What is emitted for it compiles.
/// </summary>
public class CallFormTests
{
    private const string Model = """
        public class Lora(int size) : Module<Tensor, Tensor>("lora")
        {
            public override Tensor forward(Tensor input) => input * size;
        }

        // Bat needs no kernels, which would take most of the time to compile.
        [FossilAdapt("q_proj", "Out", "experts", "heads", "spare", "custom", "list", Variant = FossilVariant.Bat)]
        public partial class Attention : Module<Tensor, Tensor>
        {
            public Linear q_proj = Linear(8, 8);
            public Linear Out { get; } = Linear(8, 8);
            public ModuleList<Linear> experts = ModuleList(Linear(8, 8));
            public Linear[] heads = [Linear(8, 8)];
            public List<Linear> list = [];
            public Linear? spare;
            public Lora custom = new(3);
            public Linear plain = Linear(8, 8);
            public LayerNorm norm = LayerNorm(8);
            public Attention? other;
            public Attention() : base("attention") { RegisterComponents(); }

            public override Tensor forward(Tensor x) => x;
            BODY
        }
        OTHER
        """;

    /// <summary>Members of the annotated class.</summary>
    public static TheoryData<string, string> Members() => new()
    {
        { "field", "Tensor F(Tensor x) => /*+*/q_proj.forward(x);" },
        { "property", "Tensor F(Tensor x) => /*+*/Out.forward(x) + /*+*/this.Out.call(x);" },
        { "call", "Tensor F(Tensor x) => /*+*/q_proj.call(x);" },
        { "named argument", "Tensor F(Tensor x) => /*+*/q_proj.forward(tensor: x) + /*+*/q_proj.call(input: x);" },
        { "this", "Tensor F(Tensor x) => /*+*/this.q_proj.forward(x);" },
        { "base access of a target", "class D : Attention { Tensor G(Tensor x) => /*+*/base.q_proj.forward(x); }" },
        { "conditional", "Tensor? F(Tensor x) => /*+*/spare?.forward(x) ?? /*+*/spare?.call(x);" },
        { "null forgiving", "Tensor F(Tensor x) => /*+*/spare!.forward(x);" },
        { "chain", "Tensor? F(Tensor x) => /*+*/other?.q_proj.forward(x);" },
        { "chain of two", "Tensor? F(Tensor x) => /*+*/other?.other?.spare?.forward(x);" },
        { "other", "Tensor F(Tensor x, Attention that) => /*+*/that.q_proj.forward(x) + /*+*/that.other!.Out.call(x);" },
        { "array element", "Tensor F(Tensor x) => /*+*/heads[0].forward(x) + /*+*/heads[^1].call(x);" },
        { "module list element", "Tensor F(Tensor x) => /*+*/experts[0].forward(x) + /*+*/this.experts[1].call(x);" },
        { "list element", "Tensor F(Tensor x) => /*+*/list[0].forward(x) + /*+*/list.First().forward(x);" },
        { "foreach", "Tensor F(Tensor x) { foreach (var head in heads) x = /*+*/head.forward(x); foreach (Linear e in experts) x = /*+*/e.call(x); return x; }" },
        { "nested", "Tensor F(Tensor x) => /*+*/q_proj.forward(/*+*/Out.forward(x));" },
        { "lambda", "Func<Tensor, Tensor> F() => x => /*+*/q_proj.forward(x);" },
        { "static lambda", "Func<Attention, Tensor, Tensor> F() => static (a, x) => /*+*/a.q_proj.forward(x);" },
        { "linq", "Tensor F(Tensor x) => heads.Aggregate(x, (y, head) => /*+*/head.forward(y));" },
        { "local function", "Tensor F(Tensor x) { return G(x); Tensor G(Tensor y) => /*+*/q_proj.forward(y); }" },
        { "constructor", "Attention(Tensor x) : this() => /*+*/q_proj.forward(x).Dispose();" },
        { "property body", "Tensor P { get => /*+*/q_proj.forward(zeros(8)); set => /*+*/q_proj.forward(value).Dispose(); }" },
        { "field initializer", "Func<Attention, Tensor> f = a => /*+*/a.q_proj.forward(zeros(8));" },
        { "indexer body", "Tensor this[Tensor x] => /*+*/q_proj.forward(x);" },
        { "operator", "public static Tensor operator +(Attention a, Tensor x) => /*+*/a.q_proj.forward(x);" },
        { "iterator", "IEnumerable<Tensor> F(Tensor x) { yield return /*+*/q_proj.forward(x); }" },
        { "async", "async System.Threading.Tasks.Task<Tensor> F(Tensor x) { await System.Threading.Tasks.Task.Yield(); return /*+*/q_proj.forward(x); }" },
        { "local alias", "Tensor F(Tensor x, bool a) { var p = a ? q_proj : Out; return /*+*/p.forward(x); }" },
        { "conditional receiver", "Tensor F(Tensor x, bool a) => /*+*/(a ? q_proj : Out).forward(x);" },
        { "switch receiver", "Tensor F(Tensor x, int a) => /*+*/(a switch { 0 => q_proj, _ => Out }).forward(x);" },
        { "coalesced receiver", "Tensor F(Tensor x) => /*+*/(spare ?? q_proj).forward(x);" },
        { "parameter", "static Tensor F(Linear p, Tensor x) => /*+*/p.forward(x);" },
        { "moved receiver", "Tensor F(Tensor x) => /*+*/q_proj.to(CPU).forward(x) + /*+*/Out.half().call(x);" },
        { "method result", "Linear P() => q_proj; Tensor F(Tensor x) => /*+*/P().forward(x);" },
        { "pattern variable", "Tensor F(object o, Tensor x) => o is Linear p ? /*+*/p.forward(x) : x;" },
        { "tuple", "Tensor F(Tensor x) { var (a, b) = (q_proj, Out); return /*+*/a.forward(/*+*/b.forward(x)); }" },
        { "out variable", "bool G(out Linear p) { p = q_proj; return true; } Tensor F(Tensor x) => G(out var p) ? /*+*/p.forward(x) : x;" },
        { "ref local", "Tensor F(Tensor x) { ref var p = ref q_proj; return /*+*/p.forward(x); }" },
        { "assignment as receiver", "Tensor F(Tensor x) { Linear p; return /*+*/(p = q_proj).forward(x); }" },
        { "cast", "Tensor F(object o, Tensor x) => /*+*/((Linear)o).forward(x) + /*+*/((Module<Tensor, Tensor>)q_proj).forward(x);" },
        { "base type", "static Tensor F(Module<Tensor, Tensor> p, Tensor x) => /*+*/p.forward(x) + /*+*/p.call(x);" },
        { "interface", "static Tensor F(IModule<Tensor, Tensor> p, Tensor x) => /*+*/p.call(x);" },
        { "field that is no target", "Tensor F(Tensor x) => /*+*/plain.forward(x);" },
        { "custom module", "Tensor F(Tensor x) => /*+*/custom.forward(x) + /*+*/custom.call(x);" },
        { "type parameter", "static Tensor F<T>(T p, Tensor x) where T : Module<Tensor, Tensor> => /*+*/p.forward(x) + /*+*/p.call(x);" },
        { "constrained type parameter", "static Tensor F<T>(T p, Tensor x) where T : Lora => /*+*/p.forward(x);" },
        { "other module", "Tensor F(Tensor x) => /*-*/norm.forward(x) + /*-*/norm.call(x);" },
        { "new", "Tensor F(Tensor x) => /*-*/new Lora(2).forward(x) + /*-*/Linear(8, 8).forward(x);" },
        { "base", "class D : Attention { public override Tensor forward(Tensor x) => /*-*/base.forward(x); }" },
        { "same name, other meaning", "Tensor forward(Tensor x, int i) => x; Tensor F(Tensor x) => /*-*/forward(x, 1); class N { public int forward(int i) => i; int G() => /*-*/forward(1); }" },
        { "method group", "Func<Tensor, Tensor> F() => q_proj.forward;" },
        { "nameof", "string F() => nameof(q_proj.forward);" },
    };

    /// <summary>Types beside it.</summary>
    public static TheoryData<string, string> Types() => new()
    {
        { "another class", "class C { Tensor F(Attention a, Tensor x) => /*+*/a.q_proj.forward(x); }" },
        { "derived class", "class C : Attention { Tensor F(Tensor x) => /*+*/q_proj.forward(x); }" },
        { "nested class", "class O { class C { Tensor F(Attention a, Tensor x) => /*+*/a.q_proj.forward(x); } }" },
        { "generic class", "class C<T> where T : Module<Tensor, Tensor> { T p = null!; Tensor F(Tensor x) => /*+*/p.forward(x); }" },
        { "generic class with the attribute", "[FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class C<T> : Module<Tensor, Tensor> where T : Module<Tensor, Tensor> { T p = null!; C() : base(\"c\") { RegisterComponents(); } public override Tensor forward(Tensor x) => /*+*/p.forward(x) + /*+*/p.call(x); }" },
        { "generic module", "class P<T> : Module<Tensor, Tensor> { public P() : base(\"p\") { RegisterComponents(); } public override Tensor forward(Tensor x) => x; } [FossilAdapt(\"p\", \"i\", Variant = FossilVariant.Bat)] partial class C<U> : Module { P<U> p = new(); P<int> i = new(); C() : base(\"c\") { RegisterComponents(); } Tensor F(Tensor x) => /*+*/p.forward(x) + /*+*/i.forward(x) + /*+*/p.call(x); }" },
        { "generic module with constraints", "class P<T, V> : Module<Tensor, Tensor> where T : class, IComparable<V>, new() where V : struct { public P() : base(\"p\") { RegisterComponents(); } public override Tensor forward(Tensor x) => x; } [FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class C<U> : Module where U : class, IComparable<int>, new() { P<U, int> p = new(); C() : base(\"c\") { RegisterComponents(); } Tensor F(Tensor x) => /*+*/p.forward(x); }" },
        { "module nested in a generic class", "class O<T> { public class P : Module<Tensor, Tensor> { public P() : base(\"p\") { RegisterComponents(); } public override Tensor forward(Tensor x) => x; } } [FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class C<U> : Module { O<U>.P p = new(); C() : base(\"c\") { RegisterComponents(); } Tensor F(Tensor x) => /*+*/p.forward(x); }" },
        { "module with nullable signature", "class P : Module<Tensor, Tensor> { public P() : base(\"p\") { RegisterComponents(); } public override Tensor forward(Tensor? x) => x!; } [FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class C : Module { P p = new(); C() : base(\"c\") { RegisterComponents(); } Tensor F(Tensor? x) => /*+*/p.forward(x); }" },
        { "module with a keyword for a name", "class @class : Module<Tensor, Tensor> { public @class() : base(\"p\") { RegisterComponents(); } public override Tensor forward(Tensor x) => x; } [FossilAdapt(\"event\", Variant = FossilVariant.Bat)] partial class @record : Module { @class @event = new(); @record() : base(\"c\") { RegisterComponents(); } Tensor F(Tensor x) => /*+*/@event.forward(x); }" },
        { "override of an override", "class P : Module<Tensor, Tensor> { public P() : base(\"p\") { RegisterComponents(); } public override Tensor forward(Tensor x) => x; } class Q : P { public override Tensor forward(Tensor x) => /*-*/base.forward(x) + 1; } class R : Q { } [FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class C : Module { R p = new(); C() : base(\"c\") { RegisterComponents(); } Tensor F(Tensor x) => /*+*/p.forward(x); }" },
        { "struct and record", "record struct C(Attention A) { Tensor F(Tensor x) => /*+*/A.q_proj.forward(x); } record D(Attention A) { Tensor F(Tensor x) => /*+*/A.q_proj.forward(x); }" },
        { "primary constructor parameter", "class C(Linear p) { Tensor F(Tensor x) => /*+*/p.forward(x); }" },
        { "extension block", "static class C { extension(Attention a) { public Tensor F(Tensor x) => /*+*/a.q_proj.forward(x); } }" },
        { "private module, by its base", "class C { class P : Module<Tensor, Tensor> { public P() : base(\"p\") { RegisterComponents(); } public override Tensor forward(Tensor x) => x; } [FossilAdapt(\"p\", Variant = FossilVariant.Bat)] partial class D : Module { P p = new(); D() : base(\"c\") { RegisterComponents(); } Tensor F(Tensor x) => /*-*/p.forward(x) + /*+*/p.call(x); } }" },
        { "expression tree", "class C { System.Linq.Expressions.Expression<Func<Attention, Tensor, Tensor>> F() => (a, x) => /*-*/a.q_proj.forward(x); }" },
    };

    [Theory]
    [MemberData(nameof(Members))]
    public void InTheAnnotatedClass(string form, string members) => Check(form, Model.Replace("BODY", members).Replace("OTHER", ""));

    [Theory]
    [MemberData(nameof(Types))]
    public void Elsewhere(string form, string types) => Check(form, Model.Replace("BODY", "").Replace("OTHER", types));

    [Fact]
    public void TopLevelStatements() => Check("top-level", "var a = new Attention(); /*+*/a.q_proj.forward(zeros(8)).Dispose();\n" + Model.Replace("BODY", "").Replace("OTHER", ""), OutputKind.ConsoleApplication);

    private static void Check(string form, string source, OutputKind kind = OutputKind.DynamicallyLinkedLibrary)
    {
        var compilation = GeneratorHarness.Compile(source);
        var generated = GeneratorHarness.Run(compilation.WithOptions(compilation.Options.WithOutputKind(kind)));

        Assert.All(generated.Problems, problem => Assert.True(problem.Id is "CS0649" or "CS8618" or "CS0169" or "CS0414", problem.ToString()));
        Assert.Equal((form, Marked(source)), (form, InterceptedLines(generated)));
    }

    /// <summary>How many calls are marked, by line.</summary>
    private static string Marked(string source) =>
        string.Join(" ", source.Split('\n').Select((line, index) => (Line: index + 1, Count: line.Split("/*+*/").Length - 1)).Where(line => line.Count > 0).Select(line => $"{line.Line}x{line.Count}"));

    private static string InterceptedLines(Generated generated)
    {
        var text = generated.Files.Where(file => file.Key.EndsWith(".Interceptors.g.cs", StringComparison.Ordinal)).Select(file => file.Value).SingleOrDefault() ?? "";
        var lines = text.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("// line ", StringComparison.Ordinal)).Select(line => int.Parse(line.Split(' ', ':')[2]));
        return string.Join(" ", lines.GroupBy(line => line).OrderBy(group => group.Key).Select(group => $"{group.Key}x{group.Count()}"));
    }
}
