using System.Text;

namespace Fossil.Analyzers.Tests.Fuzzing;

/// <summary>Random programs: some from a grammar, some real ones with pieces deleted, doubled, swapped or cut off.</summary>
internal sealed class Programs(Random random)
{
    private static readonly string[] Seeds =
    [
        """
        using System; using System.Linq; using System.Collections.Generic; using Fossil; using TorchSharp; using TorchSharp.Modules; using static TorchSharp.torch; using static TorchSharp.torch.nn;
        namespace My.Models;
        public record Config(int Hidden = 128, int Heads = 4) { public int HeadDim => Hidden / Heads; public int Inner { get; init; } = 8 * ((int)(2 * 128 * 4 / 3.0) / 8); }
        [FossilAdapt("q_proj", "v_proj", ShardSize = 32), FossilAdapt("experts", Variant = FossilVariant.Bat)]
        public partial class Attention : Module<Tensor, Tensor>
        {
            private readonly Linear q_proj, v_proj;
            private readonly ModuleList<Linear> experts = new();
            public Attention(Config config, int n = 3) : base(nameof(Attention))
            {
                (q_proj, v_proj) = (Linear(config.Hidden, config.Heads * config.HeadDim), Proj(config.Hidden, config switch { { Heads: 4 } => 64, _ => 65 }));
                for (var i = 0; i < n; i++) { if (i % 2 == 0) experts.Add(Linear(64 + i, 64)); else continue; }
                foreach (var size in new[] { 1, 2, 3 }) experts.Add(Linear(size * 32, 32));
                RegisterComponents();
                static Linear Proj(int i, int o) => Linear(i, o, hasBias: false);
            }
            public override Tensor forward(Tensor x) { using var scope = NewDisposeScope(); var p = q_proj ?? v_proj; return experts.Aggregate(p.forward(x), (y, e) => e.call(y))?.MoveToOuterDisposeScope()!; }
        }
        static class Program
        {
            static readonly Config Big = new(2050) { Inner = 5 };
            static void Main(string[] args)
            {
                var model = args.Length > 0 ? new Attention(Big) : new Attention(Big with { Hidden = 100 }, n: 2);
                using var adapted = model.AttachAdapters();
                var optimizer = optim.AdamW(model.parameters(), 1e-3);
                while (true) { try { model.forward(randn(1, 2)).sum().backward(); optimizer.step(); } catch (Exception e) when (e is null) { break; } finally { adapted.Merge(); } }
                Func<Tensor, Tensor> f = model.forward; Sequential(("a", model));
            }
        }
        """,
        """
        using Fossil; using TorchSharp; using TorchSharp.Modules; using static TorchSharp.torch;
        var layer = new Derived<int>(3); System.Console.WriteLine(layer.forward(ones(1)));
        [FossilAdapt(nameof(up), AllowPadding = true)]
        public abstract partial class Base<T>(int width) : nn.Module<Tensor, Tensor>("b") where T : struct
        {
            protected Linear up { get; } = nn.Linear(width, width << 1); protected Linear[] all = [nn.Linear(1, 1), .. new Linear[2]];
            public override Tensor forward(Tensor x) => up?.forward(x) ?? x;
        }
        [FossilAdapt("up", "all", Dropout = 0.5, Variant = FossilVariant.Mini, MiniSize = 3)]
        public partial class Derived<T> : Base<T> where T : struct { public Derived(int half) : base(half * 2) { goto end; end: return; } unsafe int* p; public static Derived<T> operator +(Derived<T> a, Derived<T> b) => a; }
        """,
    ];

    private static readonly string[] Expressions =
    [
        "1", "64", "a", "b", "h", "null", "this", "base", "x", "Linear(a, b)", "new(a)", "new Layer(b)", "new Layer { up = Linear(1, 2) }", "a * b", "a / b", "a % 0", "(int)(a * 2.5)", "a > b ? a : b",
        "Math.Max(a, b)", "new[] { a, b }", "[a, .. c]", "c[a]", "c[^1]", "(a, b)", "f(a)", "x => x", "() => Linear(a, a)", "a switch { 1 => 2, _ => throw null }", "checked(a + b)", "a is > 3 and < 5 or not 7",
        "await g()", "up", "up.forward(x)", "up?.forward", "from i in c select Linear(i, i)", "stackalloc int[a]", "default", "$\"{a}\"", "a ??= b", "c.Select(i => Linear(i, b)).ToArray()", "typeof(Layer)", "nameof(up)", "a++", "-a", "h with { }", "sizeof(int)", "int.MaxValue * 2", "1 << 40",
    ];

    private static readonly string[] Statements =
    [
        "a = E;", "var v = E;", "if (E) S else S", "for (int i = 0; i < E; i++) S", "foreach (var i in E) S", "while (E) S", "do S while (E);", "switch (E) { case 1: S break; default: S break; }", "return E;", "throw E;", "try { S } catch { S } finally { S }",
        "using var u = E;", "lock (E) S", "up = E;", "c.Add(E);", "{ S S }", "goto top;", "top: S", "E;", "int L(int a) { S return E; }", "yield return E;", "(a, b) = E;", "break;", "continue;", "fixed (int* p = E) S", "RegisterComponents();", "up[E] = E;",
    ];

    private static readonly string[] Attributes =
    [
        "[FossilAdapt(\"up\")]", "[FossilAdapt]", "[FossilAdapt(E)]", "[FossilAdapt(\"up\", ShardSize = E)]", "[FossilAdapt(new[] { \"up\", null }, Variant = (FossilVariant)E)]", "[FossilAdapt(null)]", "[AdapterWidths(\"a\", null)]", "", "[FossilAdapt(",
    ];

    /// <summary>The next program.</summary>
    public string Next() => random.Next(3) == 0 ? FromGrammar() : Mutate(random.Next(4) == 0 ? FromGrammar() : Pick(Seeds));

    private string FromGrammar()
    {
        var text = new StringBuilder("using System; using System.Linq; using Fossil; using TorchSharp; using TorchSharp.Modules; using static TorchSharp.torch; using static TorchSharp.torch.nn;\n");
        for (var count = random.Next(1, 4); count > 0; count--)
        {
            var name = Pick("Layer", "Other", "Deep", "Layer<T>", "@class");
            var parent = Pick("Module<Tensor, Tensor>", "Layer", "Other", "Deep", "object", "Module<Tensor, Tensor, Tensor>", "Missing", name);
            text.Append($"{Fill(Pick(Attributes), 1)} public {Pick("partial", "", "sealed partial", "abstract partial", "static partial", "file partial")} {Pick("class", "class", "record", "struct")} {name}{Pick("", "(int a)")} : {parent} {{\n");
            text.Append($"{Pick("private readonly", "public", "static", "const")} {Pick("Linear", "Linear[]", "ModuleList<Linear>", "int", "Missing", "var")} up{Pick(";", " = " + Fill("E", 3) + ";", " { get; } = " + Fill("E", 3) + ";", " => " + Fill("E", 3) + ";")}\n");
            text.Append($"public {name.Replace("<T>", "", StringComparison.Ordinal)}(int a, int b = {Fill("E", 1)}) : {Pick("base(\"n\")", "this(a, b)", "base(" + Fill("E", 2) + ")")} {{ {Fill("S S S", 4)} }}\n");
            text.Append($"public override Tensor forward(Tensor x) {{ {Fill("S", 3)} return {Fill("E", 3)}; }}\nstatic int f(int a) => f({Fill("E", 2)});\nint[] c = {Fill("E", 2)}; int h = {Fill("E", 2)};\n}}\n");
        }
        return text.ToString();
    }

    /// <summary>Replaces each E by an expression and each S by a statement.</summary>
    private string Fill(string pattern, int depth)
    {
        var text = new StringBuilder();
        for (var index = 0; index < pattern.Length; index++)
        {
            var isWhole = (index == 0 || !char.IsLetterOrDigit(pattern[index - 1])) && (index + 1 == pattern.Length || !char.IsLetterOrDigit(pattern[index + 1]));
            if (pattern[index] == 'E' && isWhole) text.Append(depth <= 0 ? "1" : Fill(Vary(Pick(Expressions)), depth - 1));
            else if (pattern[index] == 'S' && isWhole) text.Append(depth <= 0 ? ";" : Fill(Pick(Statements), depth - 1));
            else text.Append(pattern[index]);
        }
        return text.ToString();
    }

    private string Vary(string expression) => random.Next(3) == 0 ? expression.Replace("a", "E", StringComparison.Ordinal) : expression;

    private string Mutate(string program)
    {
        var pieces = System.Text.RegularExpressions.Regex.Matches(program, @"\w+|\s+|""[^""]*""|.", System.Text.RegularExpressions.RegexOptions.Singleline).Select(match => match.Value).ToList();
        for (var count = random.Next(1, 8); count > 0 && pieces.Count > 2; count--)
        {
            var at = random.Next(pieces.Count);
            switch (random.Next(6))
            {
                case 0: pieces.RemoveAt(at); break;
                case 1: pieces.RemoveRange(at, Math.Min(random.Next(1, 12), pieces.Count - at)); break;
                case 2: pieces.Insert(at, pieces[random.Next(pieces.Count)]); break;
                case 3: pieces[at] = pieces[random.Next(pieces.Count)]; break;
                case 4: pieces[at] = Fill("E", 2); break;
                default: if (random.Next(4) == 0) pieces.RemoveRange(at, pieces.Count - at); break;
            }
        }
        return string.Concat(pieces);
    }

    private T Pick<T>(params T[] choices) => choices[random.Next(choices.Length)];
}
