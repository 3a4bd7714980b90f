namespace Fossil.Analyzers.Tests.Fixes;

/// <summary>Programs with something to mend for each fix. Each has comments, and more than one report.</summary>
internal static class FixedPrograms
{
    /// <summary>A module with a linear layer <c>up</c>, around what a program is about.</summary>
    private static string Module(string attribute, string name, string modifiers = "public partial", string fields = "private readonly Linear up = Linear(64, 64), down = Linear(64, 64);") => $$"""
        /// <summary>What {{name}} does.</summary>
        {{attribute}}
        {{modifiers}} class {{name}} : Module<Tensor, Tensor>
        {
            // The layers.
            {{fields}}

            public {{name}}() : base("{{name}}")
            {
                RegisterComponents(); // all of them
            }

            public override Tensor forward(Tensor x) => x; /* nothing */
        }

        """;

    public static readonly IReadOnlyList<(string Rule, string Name, string Source)> All =
    [
        ("FOSSIL001", "modifiers", Module("[FossilAdapt(\"up\")]", "A", "public sealed") + Module("[FossilAdapt(\"up\")] // kept", "B", "") + Module("[FossilAdapt(\"down\")]\n[Obsolete(\n    \"old\")]", "C", "internal /* so */")),
        ("FOSSIL001", "nested", $$"""
            public class Outer<T>
            {
                // Inside.
                public static class Middle
                {
                    public record Inner(int Size) // data
                    {
            {{Module("[FossilAdapt(\"up\")]", "A", "public")}}
                    }
                }
            {{Module("[FossilAdapt(\"up\")]", "@class", "private")}}
            }
            """),
        ("FOSSIL001", "primary constructor", """
            [FossilAdapt("up")]
            public class A(int width /* of both */) : Module<Tensor, Tensor>("A")
            {
                private readonly Linear up = Linear(width, width); // square
                public override Tensor forward(Tensor x) => up.forward(x);
            }
            """),
        ("FOSSIL002", "names", Module("[FossilAdapt(\"upp\", /* second */ \"dwn\" /* down */)]", "A")
            + Module("[FossilAdapt(\n    \"u\" /* first */ + \"pp\", // one\n    \"Down\" // two\n)]", "B")
            + Module("[FossilAdapt([\"up\", \"dwn\"])]", "C") + Module("[FossilAdapt(new[] { \"upp\", /* last */ \"donw\", })]", "D")),
        ("FOSSIL002", "a name that is a keyword", Module("[FossilAdapt(\"clas\", \"up\")]", "A", fields: "private readonly Linear @class = Linear(64, 64), up = Linear(64, 64);")),
        ("FOSSIL004", "shard sizes", Module("[FossilAdapt(\"up\", ShardSize = 0)]", "A") + Module("[FossilAdapt(\n    \"up\",\n    ShardSize /* r */ = -1 /* none */ * 2 // rows\n)]", "B")),
        ("FOSSIL005", "a setting to add", Module("[FossilAdapt(\"up\")]", "A", fields: Wide) + Module("[FossilAdapt(\"up\", \"down\" /* both */)]", "B", fields: Wide)
            + Module("[FossilAdapt(\n    \"up\", // first\n    \"down\" // second\n    )] // kept", "C", fields: Wide)
            + Module("[FossilAdapt(\n    \"up\",\n    \"down\")]", "D", fields: Wide) + Module("[Obsolete(\"old\"), FossilAdapt(\"up\"), Serializable]", "E", fields: Wide)),
        ("FOSSIL005", "a setting to change", Module("[FossilAdapt(\"up\", ShardSize = 64)]", "A", fields: Wide) + Module("[FossilAdapt(\"up\", ShardSize = /* r */ 32 /* a */ * 2, AllowPadding = /* no */ false)]", "B", fields: Wide)),
        ("FOSSIL005", "two attributes", Module("[FossilAdapt(\"up\"), FossilAdapt(\"down\", ShardSize = 64 /* r */)]", "A", fields: Wide) + "class Use { A a = new A(); /* made */ }"),
        ("FOSSIL005", "another place", """
            [FossilAdapt("up" /* only */)]
            public partial class A : Module<Tensor, Tensor>
            {
                private readonly Linear up;
                public A(int width) : base("A") { up = Linear(width, width); RegisterComponents(); }
                public override Tensor forward(Tensor x) => up.forward(x);
            }
            class Use { A a = new A(2050), b = new A(2050 /* wide */); }
            """),
        ("FOSSIL006", "constructors", Unregistered("private readonly Linear up, down;", "\n        // first\n        up = Linear(64, 64); // up\n        down = Linear(64, 64);\n        // end\n    ")
            .Replace(" Layer", " A", StringComparison.Ordinal) + Unregistered("private readonly Linear up, down;", " up = Linear(64, 64); down = up; /* tied */ ").Replace(" Layer", " B", StringComparison.Ordinal)),
        ("FOSSIL006", "directives", Unregistered("private readonly Linear up, down;", "\n#if true\n        up = Linear(64, 64); // up\n#endif\n        // then\n    ")),
        ("FOSSIL006", "initialisers", Unregistered("private readonly Linear up = Linear(64, 64), down = Linear(64, 64); // both", "\n    ")),
        ("FOSSIL007", "delegates", """
            [FossilAdapt("up", "down")]
            public partial class A : Module<Tensor, Tensor>
            {
                internal readonly Linear up = Linear(64, 64), @down = Linear(64, 64);
                private readonly Func<Tensor, Tensor> kept;
                public A() : base("A") { kept = up.forward; RegisterComponents(); }
                private static Tensor Apply(Func<Tensor, Tensor> f, Tensor y) => f(y);
                public override Tensor forward(Tensor x)
                {
                    var f = this /* own */ .up.forward; // a variable
                    Func<Tensor, Tensor> g = up./* run */forward, h = x.requires_grad ? up.call : @down.forward;
                    Func<Tensor, Tensor>[] all = [up.forward, down.call, /* last */ (Func<Tensor, Tensor>)down.forward];
                    var again = new Func<Tensor, Tensor>(up.forward);
                    return Apply(f, Apply(up /* target */ .forward, g(h(all[0](again(x))))));
                }
            }
            """),
        ("FOSSIL011", "names", Module("[FossilAdapt(\"up\", \"up\", \"down\")]", "A") + Module("[FossilAdapt(\"up\", /* twice */ \"up\" /* yes */, /* thrice */ \"up\")]", "B")
            + Module("[FossilAdapt(\n    \"up\", // one\n    \"up\", // two\n    \"down\",\n    \"down\" // four\n)]", "C") + Module("[FossilAdapt(\"up\")]\n[FossilAdapt(\"up\" /* again */, \"down\", ShardSize = 32)]", "D")),
        ("FOSSIL015", "settings", Module("[FossilAdapt(\"up\", MiniSize = 4)]", "A") + Module("[FossilAdapt(\n    \"up\", // one\n    MiniSize = 4, // two\n    ShardSize = 32 // three\n)]", "B")
            + Module("[FossilAdapt(\"up\", Variant = FossilVariant.Bat, /* p */ Dropout = 0.1 /* ten */, AllowPadding = true, MiniSize = 2)]", "C")),
        ("FOSSIL016", "mini sizes", Module("[FossilAdapt(\"up\", Variant = FossilVariant.Mini, MiniSize = 0 /* none */)]", "A") + Module("[FossilAdapt(\"up\", Variant = FossilVariant.Mini,\n    // less\n    MiniSize = -4)]", "B")),
        ("FOSSIL017", "mini sizes", Module("[FossilAdapt(\"up\", Variant = FossilVariant.Mini, MiniSize = 7 /* no */)]", "A") + Module("[FossilAdapt(\"up\", \"down\", Variant = FossilVariant.Mini, ShardSize = 8, MiniSize =\n    // a line\n    7)]", "B")),
        ("FOSSIL020", "shard sizes", Module("[FossilAdapt(\"up\", ShardSize = 128 /* r */)]", "A") + Module("[FossilAdapt(\"up\", \"down\",\n    ShardSize = 96)]", "B")),
        ("FOSSIL028", "optimizers", Training("""
            using var adapted = model.AttachAdapters(); // on
            using var first = optim.SGD(/* all */ model.parameters() /* of them */, 0.1);
            using var second = optim.AdamW(
                model.parameters(), // everything
                0.1);
            using var third = optim.SGD(model/* the */.named_parameters(), 0.1);
            """)),
        ("FOSSIL034", "statements", Training("""
            // on
            model.AttachAdapters(); // lost
            /* again */ _ = model.AttachAdapters(/* default */);
            {
                model /* inside */ .AttachAdapters(
                    // nothing
                );
            }
            """)),
        ("FOSSIL037", "sizes", "[assembly: FossilShardSizes(8, /* twice */ 8, 16 /* last */)]\n[assembly: FossilShardSizes(\n    16, // again\n    24\n), FossilShardSizes(65537 /* no */)]\n"
            + Module("[FossilAdapt(\"up\")]", "A")),
        ("FOSSIL039", "holders", Unregistered("private readonly Linear up, down;", " up = Linear(64, 64); down = Linear(64, 64); RegisterComponents(); ") + """
            public class Holder : Module<Tensor, Tensor>
            {
                private readonly Layer layer = new() /* held */;
                private readonly ModuleList<Layer> more; // later

                public Holder() : base("Holder")
                {
                    more = new(new Layer()); // two
                    // end
                }

                public override Tensor forward(Tensor x) => layer.forward(x);
            }
            """),
        ("FOSSIL041", "products", """
            [FossilAdapt("up", "down")]
            public partial class A : Module<Tensor, Tensor>
            {
                internal readonly Linear up = Linear(64, 64), @down = Linear(64, 64);
                public A() : base("A") => RegisterComponents();
                public override Tensor forward(Tensor x)
                {
                    var y = functional.linear(x /* in */, up.weight!, up.bias); // first
                    y = nn.functional.linear(functional.linear(y, this.@down.weight, this.@down.bias), (y.requires_grad ? up : @down).weight!, (y.requires_grad ? up : @down).bias);
                    return functional.linear(y + 1, /* w */ up.weight, up.bias! /* b */).relu();
                }
            }
            """),
    ];

    private const string Wide = "private readonly Linear up = Linear(2050, 2050), down = Linear(2050, 2050);";

    private static string Unregistered(string fields, string body) => $$"""
        [FossilAdapt("up", "down")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            {{fields}}

            public Layer() : base("Layer")
            {{{body}}}

            public override Tensor forward(Tensor x) => x; // nothing
        }

        """;

    private static string Training(string statements) => $$"""
        static class Program
        {
            static void Run(nn.Module model)
            {
                {{statements.ReplaceLineEndings("\n        ")}}
            }
        }
        """;
}
