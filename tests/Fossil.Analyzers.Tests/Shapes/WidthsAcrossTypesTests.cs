using Fossil.Analyzers.Shapes;
using Fossil.Analyzers.Tests.Support;

namespace Fossil.Analyzers.Tests.Shapes;

/// <summary>Widths on longer ways: hierarchies, presets, nested configurations, generic classes, structs.</summary>
public class WidthsAcrossTypesTests
{
    private const string Library = """

        public class TextConfig { public int Hidden = 512; public int? KvHidden; }
        public class Config { public TextConfig Text { get; } = new(); public string Kind { get; set; } = "base"; }
        public readonly record struct Sizes(int In, int Out) { public Sizes Twice() => new(In * 2, Out * 2); }
        public static class Layers { public static Linear Proj(int i, int o, bool bias = false) => Linear(i, o, hasBias: bias); }

        [FossilAdapt("proj", "kv", ShardSize = 64)]
        public partial class Layer<T> : Module<Tensor, Tensor>
        {
            protected readonly Linear proj;
            protected readonly Linear kv;
            public Layer(int hidden = 100, int? kvHidden = null) : base("Layer")
            {
                proj = Layers.Proj(hidden, o: hidden);
                kv = Layers.Proj(kvHidden ?? hidden, 8, bias: true);
                RegisterComponents();
            }
            public Layer(Config config) : this(config.Text.Hidden, config.Text?.KvHidden) { }
            public Layer(Sizes sizes) : this(sizes.In) { }
            public Layer(string preset) : this(preset switch { "small" => 500, "base" => 512, _ => throw new ArgumentException(preset) }) { }
            public static Layer<T> Small => new({|FOSSIL005:1000|});
            public override Tensor forward(Tensor x) => kv.forward(proj.forward(x));
        }

        public class Middle(int width) : Layer<int>(width + 12);
        public class Outer : Middle { public Outer(int third) : base(third * 3) { } public Outer() : base({|FOSSIL005:101|}) { } }
        """;

    [Theory]
    [InlineData("_ = {|FOSSIL005:new Layer<int>()|};")]
    [InlineData("_ = new Layer<int>(512);")]
    [InlineData("_ = new Layer<int>(512, {|FOSSIL005:200|});")]
    [InlineData("_ = new Layer<string>(512, null);")]
    [InlineData("_ = new Layer<int>({|FOSSIL005:\"small\"|}); _ = new Layer<int>(\"base\"); _ = new Layer<int>(\"other\");")]
    [InlineData("_ = new Layer<int>(new Config());")]
    [InlineData("_ = new Layer<int>({|FOSSIL005:new Config { Text = { Hidden = 500 } }|});")]
    [InlineData("var c = new Config(); c.Text.KvHidden = 65; _ = new Layer<int>({|FOSSIL005:c|}); c.Text.KvHidden = 128; _ = new Layer<int>(c);")]
    [InlineData("_ = new Layer<int>(new Sizes(64, 1)); _ = new Layer<int>({|FOSSIL005:new Sizes(65, 1).Twice()|});")]
    [InlineData("var s = new Sizes(64, 1); var t = s with { In = 130 }; _ = new Layer<int>(s); _ = new Layer<int>({|FOSSIL005:t|});")]
    [InlineData("_ = new Middle(500); _ = new Middle({|FOSSIL005:501|});")]
    [InlineData("_ = new Outer(); _ = new Outer({|FOSSIL005:100|});")]
    [InlineData("_ = Layer<int>.Small;")]
    [InlineData("var all = new Layer<int>[3]; for (var i = 0; i < 3; i++) all[i] = new Layer<int>(64 << i);")]
    [InlineData("foreach (var w in new[] { 64, 100 }) _ = new Layer<int>({|FOSSIL005:w|});")]
    [InlineData("var all = Enumerable.Range(1, 3).Select(i => new Layer<int>(i * 64)).ToList();")]
    [InlineData("var all = Enumerable.Range(1, 3).Select(i => new Layer<int>({|FOSSIL020:i * 16|})).ToList();")]
    [InlineData("Build(h => new Layer<int>(h)); static Layer<int> Build(Func<int, Layer<int>> make) => make(512);")]
    [InlineData("Make(out var h); _ = new Layer<int>({|FOSSIL005:h|}); static void Make(out int h) { h = 64; h++; }")]
    [InlineData("const int h = 64; _ = new Layer<int>((int)((long)h * 3 / 2 * 2)); _ = new Layer<int>({|FOSSIL005:(int)((long)h * 3 / 2)|});")]
    [InlineData("var h = Environment.TickCount; if (h % 64 != 0) return; _ = new Layer<int>(h);")]
    [InlineData("var h = 100; if (h % 64 != 0) throw new Exception(); _ = new Layer<int>(h);")]
    [InlineData("try { _ = new Layer<int>({|FOSSIL005:100|}); } catch (Exception) { }")]
    [InlineData("_ = new Lazy<Layer<int>>(() => new Layer<int>({|FOSSIL005:100|}));")]
    [InlineData("var shape = (In: 100, Out: 64); var (i, o) = shape; _ = new Layer<int>({|FOSSIL005:i|}); _ = new Layer<int>(o);")]
    public Task Widths_are_followed(string code) => Verify.Reports<TargetWidthAnalyzer>($$"""
        static class Program { static void Main() { {{code}} } }
        {{Library}}
        """);

    [Fact]
    public Task Parts_of_a_class_in_two_files() => Verify.Reports<TargetWidthAnalyzer>("""
        [FossilAdapt("up", "down")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly int hidden = 96 + Extra;
            public Layer() : base("Layer") { down = Linear({|FOSSIL005:hidden|}, 64); RegisterComponents(); }
            public override Tensor forward(Tensor x) => down.forward(up.forward(x));
        }

        public partial class Layer
        {
            private const int Extra = 3;
            private readonly Linear up = Linear({|FOSSIL005:64 + Extra|}, 64), down;
        }
        """);

    [Fact]
    public Task What_other_code_may_change_is_unknown() => Verify.Reports<TargetWidthAnalyzer>("""
        public class Settings { public int Hidden = 100; public static Settings Current { get; set; } = new(); }
        public interface ISource { int Width(); void Fill(Settings settings); }

        [FossilAdapt("up")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up;
            public Layer(int width) : base("Layer") { up = Linear(width, 64); RegisterComponents(); }
            protected virtual int Extra() => 1;
            public override Tensor forward(Tensor x) => up.forward(x);
            public Layer Grow() => new Layer(64 + Extra());
        }

        static class Program
        {
            static int counter = 100;
            static void Main(ISource source)
            {
                _ = new Layer(source.Width());
                _ = new Layer(Settings.Current.Hidden);
                _ = new Layer(counter);
                var settings = new Settings();
                source.Fill(settings);
                _ = new Layer(settings.Hidden);
                var width = 100;
                void Set(ref int value) => value = Environment.TickCount;
                Set(ref width);
                _ = new Layer(width);
                dynamic any = 100;
                _ = new Layer((int)any.Length);
            }
        }
        """);
}
