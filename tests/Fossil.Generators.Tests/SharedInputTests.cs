namespace Fossil.Generators.Tests;

/// <summary>Calls that read the same value are rewired as a group where the method's data flow proves it, and one by one elsewhere.</summary>
public class SharedInputTests
{
    /// <summary>Bodies of a method of x, z and other, with the groups that are proved: <c>q k v</c>; several are apart by a bar.</summary>
    public static TheoryData<string, string> Bodies() => new()
    {
        // Proved.
        { "var a = q.forward(x); var b = k.forward(x); var c = v.forward(x); return a + b + c;", "q k v" },
        { "return q.forward(x) + k.forward(x);", "q k" },
        { "return Together(q.forward(x), k.call(x));", "q k" },
        { "var (a, b) = (q.forward(x), this.k.forward(x)); return a + b;", "q k" },
        { "var size = x.shape[0]; var a = q.forward(x).view(size, x.shape[1], heads, -1).transpose(1, 2); var b = k.forward(x).view(size, -1); return a + b;", "q k" },
        { "var a = nn.functional.silu(q.forward(x)); var b = k.forward(x); return a * b;", "q k" },
        { "var a = q.forward(x) * 0.5f; var n = 3; n += 2; n++; var b = k.forward(x); return a * b;", "q k" },
        { "Tensor y = x; var a = q.forward(y); { var b = k.forward(y); return a * b; }", "q k" },
        { "return Plain.forward(x) + q.forward(x);", "Plain q" },
        { "return other.q.forward(x) + other.k.forward(x);", "q k" },
        { "if (heads > 1) { var a = q.forward(x); return k.forward(x) + a; } else { return v.forward(x) + q.forward(x); }", "q k|v q" },
        { "for (var i = 0; i < 2; i++) { x = q.forward(x) + k.forward(x); } return x;", "q k" },
        { "return Each(y => q.forward(y) + k.forward(y), x);", "q k" },
        { "x = q.forward(x) + k.forward(x); return v.forward(x) + q.forward(x);", "q k|v q" },
        { "var a = q.forward(x); var b = q.forward(x); var c = k.forward(x); return a + b + c;", "q k" },
        { "try { return q.forward(x) + k.forward(x); } finally { z.Dispose(); }", "q k" },

        // Another value, or another object.
        { "return q.forward(x) + k.forward(z);", "" },
        { "var a = q.forward(x); x = z; return a + k.forward(x);", "" },
        { "var a = q.forward(x); x += z; return a + k.forward(x);", "" },
        { "var a = q.forward(x); (x, z) = (z, x); return a + k.forward(x);", "" },
        { "var a = q.forward(x); (var n, x) = (1, z); return a + k.forward(x) * n;", "" },
        { "return q.forward(x) + k.forward(x = z);", "" },
        { "return Both(q.forward(x), x = z, k.forward(x));", "" },
        { "ref var r = ref x; var a = q.forward(x); r = z; return a + k.forward(x);", "" },
        { "var a = q.forward(x); Replace(ref x); return a + k.forward(x);", "" },
        { "return other.q.forward(x) + k.forward(x);", "" },
        { "var o = other; var a = o.q.forward(x); o = this; return a + o.k.forward(x);", "" },
        { "return q.forward(Field) + k.forward(Field);", "" },
        { "return q.forward(x.relu()) + k.forward(x.relu());", "" },
        { "return Other().q.forward(x) + Other().k.forward(x);", "" },

        // What may change the value, the targets, or what they compute.
        { "var a = q.forward(x); x.add_(1); return a + k.forward(x);", "" },
        { "var a = q.forward(x); z.add_(1); return a + k.forward(x);", "" },
        { "var a = q.forward(x).relu_(); return a + k.forward(x);", "" },
        { "var a = nn.functional.relu(q.forward(x), inplace: true); return a + k.forward(x);", "" },
        { "var a = q.forward(x); x[0] = z; return a + k.forward(x);", "" },
        { "var a = q.forward(x); x.Dispose(); return a + k.forward(x);", "" },
        { "var a = Changed(q.forward(x)); return a + k.forward(x);", "" },
        { "var a = q.forward(x); k = v; return a + k.forward(x);", "" },
        { "var a = q.forward(x); Scale = 2; return a + k.forward(x);", "" },
        { "var a = q.forward(x).bernoulli(); return a + k.forward(x);", "" },
        { "var a = q.forward(x); using var scope = NewDisposeScope(); return a + k.forward(x);", "" },
        { "var a = q.forward(x); using (no_grad()) return a + k.forward(x);", "" },
        { "var a = q.forward(x); x.backward(); return a + k.forward(x);", "" },
        { "var a = q.forward(x) * Computed; return a + k.forward(x);", "" },
        { "var a = q.forward(x); var b = a.data<float>()[0]; return a + k.forward(x);", "" },
        { "var a = v.forward(x); var b = q.forward(z); return a + b + k.forward(x);", "" },

        // Branches, and what runs later.
        { "return heads > 1 ? q.forward(x) : k.forward(x);", "" },
        { "var a = q.forward(x); if (heads > 1) a = a + k.forward(x); return a;", "" },
        { "var a = q.forward(x); for (var i = 0; i < 2; i++) a = k.forward(x); return a;", "" },
        { "var a = q.forward(x); return heads > 1 && k.forward(x) is not null ? a : x;", "" },
        { "var a = q.forward(x); return Each(y => k.forward(x), a);", "" },
        { "var a = q?.forward(x); return a! + k.forward(x);", "" },
        { "var a = q.forward(x); try { return a + k.forward(x); } finally { z.Dispose(); }", "" },
        { "var a = q.forward(x); again: a = a + k.forward(x); if (heads > 1) goto again; return a;", "" },
        { "switch (heads) { case 1: return q.forward(x); default: return k.forward(x); }", "" },
        { "return Made.forward(x) + q.forward(x);", "" },
    };

    /// <summary>A method a body, each on a line of its own.</summary>
    private static readonly Lazy<Generated> Model = new(() => GeneratorHarness.Run($$"""
        [FossilAdapt("q", "k", "v", "Plain", "Made", ShardSize = 4)]
        public partial class Attention : Module<Tensor, Tensor>
        {
            public Linear q = Linear(12, 12), k = Linear(12, 12), v = Linear(12, 12);
            public Linear Plain { get; } = Linear(12, 12);
            public Linear Made => q;
            private Tensor Field = ones(12);
            private float Scale { get; set; } = 1;
            private float Computed => Environment.TickCount;
            private readonly int heads = 3;
            public Attention() : base("attention") { RegisterComponents(); }
            public override Tensor forward(Tensor x) => x;
            private static Tensor Changed(Tensor y) => y.add_(1);
            private static Tensor Together(Tensor a, Tensor b) => a + b;
            private static Tensor Both(Tensor a, Tensor b, Tensor c) => a + b + c;
            private static void Replace(ref Tensor y) => y = y + 1;
            private static Tensor Each(Func<Tensor, Tensor> run, Tensor y) => run(y);
            private Attention Other() => this;
        {{string.Join('\n', Bodies().Select((row, index) => $"    public Tensor Run{index}(Tensor x, Tensor z, Attention other) {{ {row[0]} }}"))}}
        }
        """));

    [Theory]
    [MemberData(nameof(Bodies))]
    public void Calls_are_a_group_where_that_is_proved(string body, string groups)
    {
        Assert.Empty(Model.Value.Compilation.GetDiagnostics().Where(problem => problem.Severity == Microsoft.CodeAnalysis.DiagnosticSeverity.Error));
        var source = Model.Value.Compilation.SyntaxTrees.First().ToString().Split('\n');
        var site = $"// line {Array.FindIndex(source, line => line.Contains($"{{ {body} }}", StringComparison.Ordinal)) + 1}:";
        var blocks = Model.Value.Interceptors.Replace("\r", "").Split("\n\n");
        var members = blocks.SelectMany(block => block.Split('\n')).Where(line => line.Contains("ProjectionGroup Group", StringComparison.Ordinal)).Select(line => line.Split('(', ')')[1].Replace("\"", "").Replace(",", "")).ToArray();
        var found = members.Where((_, index) => Array.Exists(blocks, block => block.Contains(site, StringComparison.Ordinal) && block.Contains($", Group{index})", StringComparison.Ordinal)));
        Assert.Equal(groups.Split('|', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_group_is_emitted_once_for_all_its_calls()
    {
        var generated = GeneratorHarness.Run("""
            namespace My.Models;

            [FossilAdapt("q_proj", "k_proj", "v_proj", "o_proj", ShardSize = 64)]
            public sealed partial class SelfAttention : Module<Tensor, Tensor>
            {
                private readonly Linear q_proj = Linear(64, 64), k_proj = Linear(64, 64), v_proj = Linear(64, 64), o_proj = Linear(64, 64);

                public SelfAttention() : base("attention") => RegisterComponents();

                public override Tensor forward(Tensor x)
                {
                    var q = q_proj.forward(x).view(x.shape[0], -1, 4, 16);
                    var k = k_proj.call(x).view(x.shape[0], -1, 4, 16);
                    var v = v_proj.forward(x).view(x.shape[0], -1, 4, 16);
                    return o_proj.forward((q * k * v).flatten(2));
                }

                public Tensor Again(Tensor x) => q_proj.forward(x) + k_proj.call(x) + v_proj.forward(x);
            }
            """);

        Assert.Empty(generated.Problems);
        Snapshots.Match(generated.Interceptors.Replace(generated.Compilation.AssemblyName!, "Consumer"), "SharedInput.Interceptors");
    }
}
