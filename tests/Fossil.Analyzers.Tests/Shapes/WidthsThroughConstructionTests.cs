using Fossil.Analyzers.Shapes;
using Fossil.Analyzers.Tests.Support;

namespace Fossil.Analyzers.Tests.Shapes;

/// <summary>Widths that come from where the annotated class is constructed: the wrong place is reported, the others are not.</summary>
public class WidthsThroughConstructionTests
{
    private const string Attention = """

        [FossilAdapt("q_proj", "k_proj", ShardSize = 64)]
        public partial class Attention : Module<Tensor, Tensor>
        {
            private readonly Linear q_proj;
            private readonly Linear k_proj;

            public Attention(int hidden, int heads = 8, int kvHeads = 2) : base("Attention")
            {
                var headDim = hidden / heads;
                q_proj = Linear(hidden, heads * headDim, hasBias: false);
                k_proj = Linear(hidden, kvHeads * headDim, hasBias: false);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => q_proj.forward(x) + k_proj.forward(x);
        }
        """;

    private const string Configured = """

        public record LlamaConfig
        {
            public int hidden_size { get; init; } = 2048;
            public int intermediate_size { get; set; } = 8192;
            public int num_attention_heads = 32;
            public int HeadDim => hidden_size / num_attention_heads;
        }

        [FossilAdapt("gate", "down", ShardSize = 64)]
        public partial class Mlp : Module<Tensor, Tensor>
        {
            private readonly Linear gate, down;

            public Mlp(LlamaConfig config) : base("Mlp")
            {
                gate = Linear(config.hidden_size, config.intermediate_size);
                down = Linear(config.intermediate_size, config.hidden_size);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => down.forward(gate.forward(x));
        }

        public class Block : Module<Tensor, Tensor>
        {
            private readonly Mlp mlp;
            public Block(LlamaConfig config) : base("Block") { mlp = new Mlp(config); RegisterComponents(); }
            public override Tensor forward(Tensor x) => mlp.forward(x);
        }

        public class Model : Module<Tensor, Tensor>
        {
            private readonly ModuleList<Block> layers = new();
            public Model(LlamaConfig config, int n = 4) : base("Model")
            {
                for (var i = 0; i < n; i++) layers.Add(new Block(config));
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => x;
        }
        """;

    [Theory]
    [InlineData("_ = new Attention(512);")]
    [InlineData("_ = new Attention({|FOSSIL005:500|});")]
    [InlineData("_ = new Attention({|FOSSIL005:500|}); _ = new Attention(640);")]
    [InlineData("_ = new Attention(heads: 4, hidden: {|FOSSIL005:500|});")]
    [InlineData("Attention a = new({|FOSSIL005:500|});")]
    [InlineData("var h = 500; for (var i = 0; i < 3; i++) { var a = new Attention({|FOSSIL005:h|}); }")]
    [InlineData("var h = Environment.ProcessorCount; _ = new Attention(h);")]
    [InlineData("if (Environment.Is64BitProcess) _ = new Attention({|FOSSIL005:500|});")]
    [InlineData("_ = Environment.Is64BitProcess ? new Attention({|FOSSIL005:500|}) : new Attention(512);")]
    [InlineData("Func<Attention> make = () => new Attention({|FOSSIL005:500|});")]
    [InlineData("System.Threading.Tasks.Task.Run(() => { var a = new Attention({|FOSSIL005:500|}); });")]
    [InlineData("_ = Make({|FOSSIL005:500|}); _ = Make(512); static Attention Make(int h) => new Attention(h);")]
    [InlineData("_ = Factory.Create({|FOSSIL005:500|}); _ = Factory.Create(512);")]
    [InlineData("_ = Factory.Wide();")]
    [InlineData("_ = new Derived(); _ = new Derived({|FOSSIL020:25|});")]
    [InlineData("var list = new List<Attention> { new(512), new({|FOSSIL005:500|}) };")]
    [InlineData("var (h, n) = (500, 5); _ = new Attention({|FOSSIL005:h|}, n);")]
    [InlineData("foreach (var h in new[] { 512, 640 }) _ = new Attention(h);")]
    [InlineData("_ = new Attention(Sizes.Wrong);", true)]
    [InlineData("_ = new Attention({|FOSSIL005:Sizes.Wrong|});")]
    public Task Of_arguments(string code, bool isElsewhere = false) => Verify.Reports<TargetWidthAnalyzer>($$"""
        static class Program { static void Main() { {{code}} } }
        static class Sizes { public static {{(isElsewhere ? "" : "readonly")}} int Wrong = 500; }
        static class Factory
        {
            public static Attention Create(int hidden) => new Attention(hidden);
            public static Attention Wide() => new Attention({|FOSSIL005:1001|});
        }
        class Derived : Attention
        {
            public Derived(int half) : base(half * 2) { }
            public Derived() : base({|FOSSIL005:200|}) { }
        }
        {{Attention}}
        """);

    [Theory]
    [InlineData("_ = new Model(new LlamaConfig());")]
    [InlineData("_ = new Model({|FOSSIL005:new LlamaConfig { hidden_size = 2050 }|});")]
    [InlineData("_ = new Model(new LlamaConfig { hidden_size = 4096, num_attention_heads = 7 });")]
    [InlineData("var c = new LlamaConfig { hidden_size = 2050 }; _ = new Model({|FOSSIL005:c|}); _ = new Model(c with { hidden_size = 1024 });")]
    [InlineData("var c = new LlamaConfig(); _ = new Model(c); _ = new Model({|FOSSIL005:c with { hidden_size = 1000 }|}, n: 2);")]
    [InlineData("var c = new LlamaConfig(); c.intermediate_size = 1000; _ = new Mlp({|FOSSIL005:c|});")]
    [InlineData("_ = new Model(Presets.Good); _ = new Model({|FOSSIL005:Presets.Bad|}); ")]
    [InlineData("var c = Load(); _ = new Model(c); static LlamaConfig Load() => System.Text.Json.JsonSerializer.Deserialize<LlamaConfig>(\"{}\")!;")]
    [InlineData("LlamaConfig c = new() { hidden_size = 2050 }; Console.WriteLine(c); _ = new Block({|FOSSIL005:c|});")]
    [InlineData("LlamaConfig c = new() { hidden_size = int.Parse(Console.ReadLine()!) }; _ = new Block(c);")]
    [InlineData("var big = Environment.Is64BitProcess; var c = big ? Presets.Good : new LlamaConfig { hidden_size = 64 }; _ = new Block(c);")]
    public Task Of_configurations(string code) => Verify.Reports<TargetWidthAnalyzer>($$"""
        static class Program { static void Main() { {{code}} } }
        static class Presets
        {
            public static readonly LlamaConfig Good = new() { hidden_size = 4096 };
            public static readonly LlamaConfig Bad = new() { hidden_size = 4100 };
        }
        {{Configured}}
        """);

    [Theory]
    [InlineData("_ = new Layer(128); _ = new Layer({|FOSSIL005:100|});")]
    [InlineData("_ = new Wide();")]
    [InlineData("_ = new Holder();")]
    public Task Of_primary_constructors(string code) => Verify.Reports<TargetWidthAnalyzer>($$"""
        static class Program { static void Main() { {{code}} } }

        [FossilAdapt("up", "late")]
        public partial class Layer(int hidden) : Module<Tensor, Tensor>("Layer")
        {
            private readonly Linear up = Linear(hidden, 64);
            private readonly Linear late = Late(hidden);
            private static Linear Late(int width) => torch.nn.Linear(width, 64);
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        public class Wide() : Layer({|FOSSIL005:1000|});

        public class Holder : Module<Tensor, Tensor>
        {
            private readonly Layer good = new(128), bad = new({|FOSSIL005:130|});
            public Holder() : base("Holder") => RegisterComponents();
            public override Tensor forward(Tensor x) => bad.forward(good.forward(x));
        }
        """);

    [Fact]
    public Task Of_records_by_position() => Verify.Reports<TargetWidthAnalyzer>("""
        public record struct Shape(int In, int Out);
        public record Config(int Hidden, int Heads = 4)
        {
            public int HeadDim { get; } = Hidden / Heads;
        }

        [FossilAdapt("up", ShardSize = 32)]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up;
            public Layer(Config config) : this(new Shape(config.HeadDim, 8)) { }
            public Layer(Shape shape) : base("Layer")
            {
                var (i, o) = shape;
                up = Linear(i, o);
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        static class Program
        {
            static readonly Layer Static = new({|FOSSIL005:new Shape(33, 1)|});
            static void Main()
            {
                _ = new Layer(new Config(128));
                _ = new Layer({|FOSSIL005:new Config(200)|});
                _ = new Layer({|FOSSIL005:new Config(128, 3)|});
                _ = new Layer(new Shape(64, 3));
            }
        }
        """);

    [Fact]
    public Task Of_layers_that_declare_their_widths() => Verify.Reports<TargetWidthAnalyzer>("""
        [AdapterWidths("inFeatures", "OutFeatures")]
        public class Quantized : Module<Tensor, Tensor>
        {
            public int OutFeatures { get; }
            public Quantized(int inFeatures, int outFeatures) : base("Quantized") => OutFeatures = outFeatures;
            public override Tensor forward(Tensor x) => x;
        }

        public class Undeclared(int inFeatures) : Module<Tensor, Tensor>("Undeclared")
        {
            public override Tensor forward(Tensor x) => x * inFeatures;
        }

        [FossilAdapt("up", "down", "other", Variant = FossilVariant.Bat)]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Quantized up, down;
            private readonly Undeclared other;
            public Layer() : base("Layer")
            {
                up = new Quantized({|FOSSIL005:100|}, 64);
                down = new({|#0:64|}, {|FOSSIL005:100|});
                other = new Undeclared(100);
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => x;
        }
        """.Replace("{|#0:64|}", "64", StringComparison.Ordinal));

    [Fact]
    public Task Through_aliases_and_fields_that_are_set_later() => Verify.Reports<TargetWidthAnalyzer>("""
        using L = TorchSharp.Modules.Linear;
        using NN = TorchSharp.torch.nn;

        [FossilAdapt("up")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            internal L up = null!;
            public Layer() : base("Layer") { }
            public void Build(int width) { up = NN.Linear(width, 64); register_module("up", up); }
            public void BuildWrong() => up = NN.Linear({|FOSSIL005:100|}, 64);
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        static class Program
        {
            static void Main()
            {
                var layer = new Layer();
                layer.Build(128);
                layer.Build({|FOSSIL005:100|});
                layer.BuildWrong();
                var other = new Layer { up = NN.Linear({|FOSSIL005:130|}, 64) };
            }
        }
        """);

    [Fact]
    public Task Cycles_and_deep_recursion_end() => Verify.Reports<TargetWidthAnalyzer>("""
        [FossilAdapt("up")]
        public partial class Node : Module<Tensor, Tensor>
        {
            private readonly Linear up;
            private readonly Node? next;
            public Node(int width, int depth) : base("Node")
            {
                up = Linear(width, 64);
                next = depth > 0 ? new Node(width, depth - 1) : null;
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => x;
            static int Loop(int n) => Loop(n + 1) + Loop(n - 1);
            static Node Make() => new Node(Loop(0), 1000);
            static Node Other() => new Node({|FOSSIL005:100|}, 1000);
        }
        """);
}
