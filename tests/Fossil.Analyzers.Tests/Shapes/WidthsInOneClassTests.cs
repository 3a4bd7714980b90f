using Fossil.Analyzers.Shapes;
using Fossil.Analyzers.Tests.Support;

namespace Fossil.Analyzers.Tests.Shapes;

/// <summary>Widths that the annotated class determines by itself.</summary>
public class WidthsInOneClassTests
{
    private static string Layer(string attribute, string members, string body, string elsewhere = "") => $$"""
        {{elsewhere}}
        [FossilAdapt({{attribute}})]
        public partial class Layer : Module<Tensor, Tensor>
        {
            {{members}}
            public Layer() : base("Layer")
            {
                {{body}}
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => x;
        }
        """;

    private static Task Verify1(string width, bool isWrong, string before = "", string elsewhere = "", string members = "") => Verify.Reports<TargetWidthAnalyzer>(
        Layer("\"up\", ShardSize = 64", "private readonly Linear up; " + members, $"{before} up = Linear({(isWrong ? $"{{|FOSSIL005:{width}|}}" : width)}, 128);", elsewhere));

    [Theory]
    [InlineData("2048", false)]
    [InlineData("2050", true)]
    [InlineData("64L * 3", false)]
    [InlineData("65L * 3", true)]
    [InlineData("checked(64 + 64)", false)]
    [InlineData("unchecked((int)4294967360L)", false)]
    [InlineData("true ? 128 : 100", false)]
    [InlineData("false ? 128 : 100", true)]
    [InlineData("1 << 7", false)]
    [InlineData("(1 << 7) | 1", true)]
    [InlineData("8 * ((int)(2 * 768 * 4 / 3.0) / 8)", false)]
    [InlineData("8 * ((int)(2 * 520 * 4 / 3.0) / 8)", true)]
    [InlineData("Math.Max(64, 100)", true)]
    [InlineData("Math.Min(64, 100)", false)]
    [InlineData("(int)Math.Ceiling(127.5)", false)]
    [InlineData("(int)Math.Floor(129.5)", true)]
    [InlineData("Math.Clamp(500, 64, 128)", false)]
    [InlineData("Sizes.Hidden", true, "", "static class Sizes { public const int Hidden = 100; }")]
    [InlineData("Sizes.Hidden * 16", false, "", "static class Sizes { public const int Hidden = 100; }")]
    [InlineData("Sizes.Hidden", true, "", "static class Sizes { public static readonly int Hidden = 50 * Half; const int Half = 2; }")]
    [InlineData("Sizes.Hidden", true, "", "static class Sizes { public static readonly int Hidden; static Sizes() { Hidden = 100; } }")]
    [InlineData("Sizes.Hidden", true, "", "static class Sizes { public static int Hidden { get; } = 100; }")]
    [InlineData("Sizes.Hidden", true, "", "static class Sizes { public static int Hidden => 100; }")]
    [InlineData("Sizes.Hidden", false, "", "static class Sizes { public static int Hidden = 100; }")]
    [InlineData("Sizes.Hidden", false, "", "static class Sizes { public static int Hidden { get; set; } = 100; }")]
    [InlineData("FossilAdaptAttribute.DefaultShardSize + 1", true)]
    [InlineData("int.Parse(Console.ReadLine()!)", false)]
    [InlineData("Environment.ProcessorCount", false)]
    [InlineData("(int)Mode.Wide", true, "", "enum Mode { Wide = 100 }")]
    public Task Constants(string width, bool isWrong, string before = "", string elsewhere = "") => Verify1(width, isWrong, before, elsewhere);

    [Theory]
    [InlineData("var h = 100;", "h", true)]
    [InlineData("var h = 100; h *= 64;", "h", false)]
    [InlineData("var h = 64; h += 1;", "h", true)]
    [InlineData("var h = 63; h++;", "h", false)]
    [InlineData("int h; if (Environment.Is64BitProcess) h = 100; else h = 100;", "h", true)]
    [InlineData("int h; if (Environment.Is64BitProcess) h = 100; else h = 128;", "h", false)]
    [InlineData("int h; if (Environment.Is64BitProcess) h = 100; else h = 101;", "h", true)]
    [InlineData("int h; if (3 > 2) h = 100; else h = 128;", "h", true)]
    [InlineData("var (h, o) = (100, 64);", "h", true)]
    [InlineData("var (h, o) = (100, 64);", "o", false)]
    [InlineData("int h, o; (h, o) = (64, 100); (h, o) = (o, h);", "h", true)]
    [InlineData("var pair = (hidden: 100, heads: 4);", "pair.hidden", true)]
    [InlineData("var pair = (hidden: 100, heads: 4);", "pair.Item1 * 16", false)]
    [InlineData("var h = Environment.MachineName.Length switch { 1 => 100, _ => 102 };", "h", true)]
    [InlineData("var h = \"large\" switch { \"small\" => 64, \"large\" => 100, _ => throw new Exception() };", "h", true)]
    [InlineData("int h; switch (2) { case 1: h = 64; break; case 2: h = 100; break; default: h = 64; break; }", "h", true)]
    [InlineData("var sizes = new[] { 64, 100 };", "sizes[1]", true)]
    [InlineData("var sizes = new[] { 64, 100 };", "sizes[0]", false)]
    [InlineData("int[] sizes = [64, 100]; var i = Environment.ProcessorCount;", "sizes[i % 2]", false)]
    [InlineData("int? h = 100;", "h.Value", true)]
    [InlineData("int? h = null;", "h ?? 100", true)]
    [InlineData("int? h = Environment.ProcessorCount;", "h ?? 100", false)]
    [InlineData("var h = 1; for (var i = 0; i < 6; i++) h *= 2;", "h", false)]
    [InlineData("var h = 1; for (var i = 0; i < 6; i++) h *= 3;", "h", true)]
    [InlineData("var h = 100; while (Environment.Is64BitProcess) { h += 28; break; }", "h", false)]
    [InlineData("var h = 100; try { h = 128; } catch (Exception) { }", "h", false)]
    [InlineData("var h = 64; Action change = () => h = 100; change();", "h", true)]
    [InlineData("var h = checked(64 + 65);", "h", true)]
    [InlineData("var h = 64; Console.CancelKeyPress += (_, _) => h = 100;", "h", false)]
    [InlineData("var h = 64; void Change() => h = 100; Change();", "h", true)]
    [InlineData("int Half(int x) { return x / 2; }", "Half(200)", true)]
    [InlineData("Func<int, int> half = x => x / 2;", "half(200)", true)]
    [InlineData("int.TryParse(\"100\", out var h);", "h", false)]
    [InlineData("Set(out var h); static void Set(out int value) => value = 100;", "h", true)]
    [InlineData("var h = Round(1000, 256);", "h", false)]
    [InlineData("var h = Round(1000, 100);", "h", true)]
    public Task Locals(string before, string width, bool isWrong) => Verify1(width, isWrong, before, members: "static int Round(int value, int multiple) => (value + multiple - 1) / multiple * multiple;");

    [Theory]
    [InlineData("private readonly int hidden = 100;", "hidden", true)]
    [InlineData("private readonly int hidden = 100;", "hidden * 16", false)]
    [InlineData("private int Hidden { get; } = 100;", "this.Hidden", true)]
    [InlineData("private int Hidden => heads * headDim; private const int heads = 5, headDim = 20;", "Hidden", true)]
    [InlineData("private static readonly (int In, int Out) Shape = (100, 64);", "Shape.In", true)]
    [InlineData("private readonly int hidden = Compute(); static int Compute() { if (Environment.Is64BitProcess) return 100; return 101; }", "hidden", true)]
    public Task Members(string member, string width, bool isWrong) => Verify1(width, isWrong, members: member);

    [Theory]
    [InlineData("private readonly Linear up = Linear({|FOSSIL005:100|}, 64);")]
    [InlineData("private readonly Linear up = torch.nn.Linear({|FOSSIL005:100|}, 64, hasBias: false);")]
    [InlineData("private readonly Linear up = Linear(outputSize: 64, inputSize: {|FOSSIL005:100|});")]
    [InlineData("private readonly Linear up = {|FOSSIL005:Proj()|}; static Linear Proj() => Linear(100, 64);")]
    [InlineData("private readonly Linear up = Proj({|FOSSIL005:100|}, 64); static Linear Proj(int i, int o) => Linear(i, o, hasBias: false);")]
    [InlineData("private readonly Linear up = Proj(128, 100); static Linear Proj(int i, int o) => Linear(i, o, hasBias: false);")]
    [InlineData("private readonly Module<Tensor, Tensor> up = Linear({|FOSSIL005:100|}, 64);")]
    [InlineData("private Linear up { get; } = Linear({|FOSSIL005:100|}, 64);")]
    [InlineData("private readonly Linear up = Linear({|FOSSIL005:100|}, 64).to(CPU);")]
    [InlineData("private readonly Linear up = Linear(int.Parse(Console.ReadLine()!), 64);")]
    public Task Layers_from_initialisers_and_helpers(string member) => Verify.Reports<TargetWidthAnalyzer>(Layer("\"up\"", member, ""));

    [Theory]
    [InlineData("private readonly Linear[] up; ", "up = new Linear[4]; for (var i = 0; i < up.Length; i++) up[i] = Linear({|FOSSIL005:100|}, 64);")]
    [InlineData("private readonly Linear[] up; ", "up = new Linear[Environment.ProcessorCount]; for (var i = 0; i < up.Length; i++) up[i] = Linear({|FOSSIL005:100|}, 64);")]
    [InlineData("private readonly Linear[] up; ", "up = new Linear[Environment.ProcessorCount]; for (var i = 0; i < up.Length; i++) up[i] = Linear(128, 64);")]
    [InlineData("private readonly ModuleList<Linear> up = new();", "foreach (var size in new[] { 64, 100, 128 }) up.Add(Linear({|FOSSIL005:size|}, 64));")]
    [InlineData("private readonly ModuleList<Linear> up = new();", "foreach (var size in new[] { 64, 128 }) up.Add(Linear(size, 64));")]
    [InlineData("private readonly ModuleList<Linear> up;", "up = ModuleList(Linear(64, 64), Linear({|FOSSIL005:100|}, 64));")]
    [InlineData("private readonly ModuleList<Linear> up;", "up = new ModuleList<Linear>(Enumerable.Range(0, 4).Select(i => Linear({|FOSSIL005:100|}, 64)).ToArray());")]
    [InlineData("private readonly ModuleList<Linear> up;", "var n = Environment.ProcessorCount; up = new ModuleList<Linear>([.. Enumerable.Range(0, n).Select(i => Linear({|FOSSIL005:100|}, 64))]);")]
    [InlineData("private readonly Linear[] up;", "int[] dims = [64, 100, 64]; up = new Linear[2]; for (int i = 0; i < 2; i++) up[i] = Linear({|FOSSIL005:dims[i]|}, dims[i + 1]);")]
    [InlineData("private readonly List<Linear> up = [];", "for (var i = 1; i <= 3; i++) up.Add(Linear({|FOSSIL020:i * 16|}, 64)); up.Add(Linear({|FOSSIL005:100|}, 64));")]
    [InlineData("private readonly Linear[] up;", "up = [Linear(64, 100), Linear({|FOSSIL005:100|}, 64)];")]
    [InlineData("private readonly Linear[] up;", "up = Make().ToArray(); static IEnumerable<Linear> Make() { yield return Linear(64, 64); yield return Linear({|#0:128|}, 64); }")]
    public Task Collections(string members, string body) => Verify.Reports<TargetWidthAnalyzer>(Layer("\"up\"", members, body).Replace("{|#0:128|}", "128", StringComparison.Ordinal));

    [Theory]
    [InlineData("\"up\", ShardSize = 32", "Linear({|FOSSIL005:2050|}, 100)")]
    [InlineData("\"up\", ShardSize = 32", "Linear(2048, 100)")]
    [InlineData("\"up\", ShardSize = 32, AllowPadding = true", "Linear(2050, 100)")]
    [InlineData("\"up\", ShardSize = 32, Variant = FossilVariant.Bat", "Linear(2048, {|FOSSIL005:100|})")]
    [InlineData("\"up\", ShardSize = 32, Variant = FossilVariant.Bat", "Linear({|FOSSIL005:100|}, {|FOSSIL005:100|})")]
    [InlineData("\"up\", ShardSize = 32, Variant = FossilVariant.Bat", "Linear(64, 64)")]
    [InlineData("\"up\", ShardSize = 32, Variant = FossilVariant.Mini, MiniSize = 8", "Linear(64, {|FOSSIL017:100|})")]
    [InlineData("\"up\", ShardSize = 32, Variant = FossilVariant.Mini, MiniSize = 10", "Linear(64, 100)")]
    [InlineData("\"up\", ShardSize = 32, Variant = FossilVariant.Mini, MiniSize = 10", "Linear({|FOSSIL005:100|}, 100)")]
    [InlineData("\"up\"", "Linear({|FOSSIL020:32|}, 100)")]
    [InlineData("\"up\", AllowPadding = true", "Linear({|FOSSIL020:32|}, 100)")]
    [InlineData("\"up\", ShardSize = 0", "Linear(32, 100)")]
    public Task Each_variant_has_its_divisions(string attribute, string layer) => Verify.Reports<TargetWidthAnalyzer>(Layer(attribute, "private readonly Linear up;", $"up = {layer};"));

    [Fact]
    public Task One_layer_in_two_targets_is_reported() => Verify.Reports<TargetWidthAnalyzer>("""
        [FossilAdapt("up", {|FOSSIL025:"tied"|}, "own")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up, tied, own;
            public Layer() : base("Layer")
            {
                up = Linear(64, 64);
                tied = up;
                own = Linear(64, 64);
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => x;
        }

        public class Model : Module<Tensor, Tensor>
        {
            private readonly Layer first = new(), second = new();
            public Model() : base("Model") => RegisterComponents();
            public override Tensor forward(Tensor x) => x;
        }
        """);

    [Fact]
    public Task Unknown_widths_are_noted() => Verify.Reports<TargetWidthAnalyzer>(
        """
        [FossilAdapt({|FOSSIL026:"up"|}, "down")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up, down;
            public Layer(int hidden) : base("Layer")
            {
                up = Linear(hidden, 64);
                down = Linear(64, hidden);
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => x;
        }
        """,
        withNotes: true);

    /// <summary>What is adapted on request has the sizes of a configuration.</summary>
    [Theory]
    [InlineData("\"up\", ShardSize = 64", "{|FOSSIL005:100|}")]
    [InlineData("\"up\", ShardSize = 64, OnRequest = false", "{|FOSSIL005:100|}")]
    [InlineData("\"up\", ShardSize = 64, OnRequest = true", "100")]
    [InlineData("\"up\", OnRequest = true", "32")]
    public Task Targets_on_request(string attribute, string width) =>
        Verify.Reports<TargetWidthAnalyzer>(Layer(attribute, "private readonly Linear up;", $"up = Linear({width}, 128);"));
}
