using Fossil.Analyzers.Shapes;
using Fossil.Analyzers.Tests.Support;

namespace Fossil.Analyzers.Tests.Shapes;

/// <summary>Values that code changes on a way that is not followed are unknown: no false alarm. The same values, left alone, are known.</summary>
public class WidthsThatMayChangeTests
{
    private static Task Verify1(string code, string elsewhere = "") => Verify.Reports<TargetWidthAnalyzer>($$"""
        public class Config { public int Hidden { get; set; } = 100; public List<int> Sizes { get; set; } = [64]; }

        [FossilAdapt("up", ShardSize = 64)]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up;
            public Layer(long width) : base("Layer") { up = Linear(width, 64); RegisterComponents(); }
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        static class Program
        {
            static event Action<Config>? Configured;
            static void Main() { {{code}} }
            static void Run(Action action) { if (Environment.Is64BitProcess) action(); }
            static Config Configure(Action<Config> change) { var config = new Config(); change(config); return config; }
            static void Fit(Config config) => config.Hidden = 64;
            {{elsewhere}}
        }
        """);

    [Theory]
    [InlineData("var pair = (a: 100, b: 64); pair.a = 128; pair.Item2 = 100; _ = new Layer(pair.a); _ = new Layer({|FOSSIL005:pair.b|});")]
    [InlineData("var h = 64; ref var r = ref h; r = 100; _ = new Layer({|FOSSIL005:h|}); r = 128; _ = new Layer(h);")]
    [InlineData("int[] sizes = [64, 65]; ref var second = ref sizes[1]; second = 128; _ = new Layer(sizes[1]);")]
    [InlineData("var h = 64; var k = 64; ref var r = ref h; r = ref k; r = 100; _ = new Layer(h); _ = new Layer({|FOSSIL005:k|});")]
    [InlineData("var h = 100; var k = 100; ref var r = ref (Environment.Is64BitProcess ? ref h : ref k); r = 64; _ = new Layer(h); _ = new Layer(k);")]
    [InlineData("unsafe { var h = 100; var p = &h; *p = 64; _ = new Layer(h); }")]
    [InlineData("unsafe { int[] sizes = [100]; fixed (int* p = sizes) { p[0] = 64; } _ = new Layer(sizes[0]); }")]
    [InlineData("int[] sizes = [100]; foreach (ref var size in sizes.AsSpan()) size = 64; _ = new Layer(sizes[0]);")]
    public Task Places_with_two_names(string code) => Verify1(code);

    [Theory]
    [InlineData("Array.Reverse(sizes);")]
    [InlineData("Array.Sort(sizes);")]
    [InlineData("new[] { 64, 64 }.CopyTo(sizes, 0);")]
    [InlineData("sizes.AsSpan().Fill(64);")]
    [InlineData("Random.Shared.Shuffle(sizes);")]
    [InlineData("System.Threading.Interlocked.Exchange(ref sizes[0], 64);")]
    [InlineData("Console.WriteLine(string.Join(\", \", sizes)); _ = sizes.Contains(64);", false)]
    public Task Elements_that_the_library_changes(string change, bool isChanged = true) =>
        Verify1($"int[] sizes = [100, 64]; {change} _ = new Layer({(isChanged ? "sizes[0]" : "{|FOSSIL005:sizes[0]|}")});");

    [Theory]
    [InlineData("typeof(Config).GetProperty(\"Hidden\")!.SetValue(config, 64);")]
    [InlineData("dynamic any = config; any.Hidden = 64;")]
    [InlineData("var queue = new Queue<Config>(); queue.Enqueue(config); queue.Peek().Hidden = 64;")]
    [InlineData("new List<Config> { config }.ForEach(one => one.Hidden = 64);")]
    [InlineData("new List<Config> { config }.ForEach(Fit);")]
    [InlineData("Configured?.Invoke(config);")]
    [InlineData("System.Threading.Tasks.Parallel.For(0, 2, _ => config.Hidden = 64);")]
    [InlineData("var other = new Config { Hidden = 64 }; Console.WriteLine(config);", false)]
    public Task Objects_that_other_code_changes(string change, bool isChanged = true) =>
        Verify1($"var config = new Config(); {change} _ = new Layer({(isChanged ? "config.Hidden" : "{|FOSSIL005:config.Hidden|}")});");

    [Theory]
    [InlineData("var h = 100; Action set = () => h = 64; h = 100; Run(set); _ = new Layer(h);")]
    [InlineData("var h = 100; void Set() { h = 64; } Run(Set); _ = new Layer(h);")]
    [InlineData("var h = 100; System.Threading.Tasks.Task.Run(() => { h = 64; }).Wait(); _ = new Layer(h);")]
    [InlineData("var h = 100; try { h = 64; Console.ReadLine(); return; } catch (System.IO.IOException) { _ = new Layer(h); }")]
    [InlineData("var h = 100; try { h = 64; } finally { Console.WriteLine(); } _ = new Layer(h);")]
    [InlineData("_ = new Layer(Configure(config => config.Hidden = 64).Hidden);")]
    public Task Variables_that_lambdas_and_handlers_change(string code) => Verify1(code);

    [Fact]
    public Task Objects_in_static_fields_that_are_written_somewhere() => Verify1(
        "_ = new Layer(Default.Hidden); _ = new Layer(Table[0]); _ = new Layer({|FOSSIL005:Fixed.Hidden|});",
        """
        static readonly Config Default = new(), Fixed = new();
        static readonly int[] Table = [100];
        static void Setup() { Default.Hidden = 128; Table[0] = 128; }
        """);

    [Fact]
    public Task With_on_an_object_that_is_not_known() => Verify.Reports<TargetWidthAnalyzer>("""
        public record Inner { public int Hidden { get; init; } = 100; public int Other { get; init; } = 100; }
        public record Outer { public int Hidden { get; init; } = 128; public Inner? Inner { get; init; } }

        [FossilAdapt("up", ShardSize = 64)]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up;
            public Layer(long width) : base("Layer") { up = Linear(width, 64); RegisterComponents(); }
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        static class Program
        {
            static void Main2(Inner inner)
            {
                var outer = new Outer { Hidden = 128, Inner = inner with { Hidden = 100 } };
                _ = new Layer(outer.Hidden);
                _ = new Layer({|FOSSIL005:outer.Inner.Hidden|});
                _ = new Layer(outer.Inner.Other);
            }
        }
        """);
}
