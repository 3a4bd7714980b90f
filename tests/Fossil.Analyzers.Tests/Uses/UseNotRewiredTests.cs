using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Uses;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Uses;

public class UseNotRewiredTests
{
    private static string Layer(string expression, string members = "") => $$"""
        [FossilAdapt("up", "down", "experts")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            internal readonly Linear up = Linear(64, 64), down = Linear(64, 64);
            internal readonly ModuleList<Linear> experts = new();
            {{members}}
            public Layer() : base("Layer") => RegisterComponents();
            public override Tensor forward(Tensor x) => {{expression}};
        }
        """;

    [Theory]
    [InlineData("up.forward(x)")]
    [InlineData("up.call(this.down.forward(x))")]
    [InlineData("up?.forward(x) ?? x")]
    [InlineData("experts[0].forward(experts.Last().forward(x))")]
    [InlineData("Run(up, x)", "static Tensor Run(Module<Tensor, Tensor> layer, Tensor x) => layer.forward(x);")]
    [InlineData("new[] { up, down }.Aggregate(x, (value, layer) => layer.forward(value))")]
    [InlineData("functional.linear(x, up.weight, up.bias)")]
    [InlineData("nn.Sequential(up, down).forward(x)")]
    [InlineData("Sequential((\"up\", up)).forward(x)")]
    [InlineData("Apply(up.call, x)", "static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);")]
    public Task Calls_that_are_rewired_are_not_reported(string expression, string members = "") => Verify.Reports<UseNotRewired>(Layer(expression, members));

    [Theory]
    [InlineData("Apply({|FOSSIL007:up.forward|}, x)", "static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);")]
    [InlineData("Keep(() => {|FOSSIL007:up.forward(x)|})", "static Tensor Keep(System.Linq.Expressions.Expression<Func<Tensor>> e) => null!;")]
    [InlineData("((dynamic){|FOSSIL007:up|}).forward(x)")]
    [InlineData("((Linear){|FOSSIL007:typeof(Layer).GetField(\"up\")|}!.GetValue(this)!).forward(x)")]
    public Task Uses_without_the_adapter_are_reported(string expression, string members = "") => Verify.Reports<UseNotRewired>(Layer(expression, members));

    [Theory]
    [InlineData("Pass(up, x)", "static Tensor Pass(Linear layer, Tensor x) => Runner.Run({|FOSSIL007:layer|}, x);")]
    [InlineData("Pass(ReLU(), x)", "static Tensor Pass(Module<Tensor, Tensor> layer, Tensor x) => Runner.Run(layer, x);")]
    [InlineData("Runner.RunAll({|FOSSIL007:Layers()|}, x)", "List<Module<Tensor, Tensor>> Layers() { var all = new List<Module<Tensor, Tensor>>(); all.Add(up); return all; }")]
    [InlineData("Runner.RunAll({|FOSSIL007:new[] { up, down }.Concat(experts).ToArray()|}, x)")]
    [InlineData("Runner.RunAll([{|FOSSIL007:up|}, ReLU()], x)")]
    [InlineData("Runner.RunMade({|FOSSIL007:() => up|}, x)")]
    [InlineData("Runner.RunMade(() => ReLU(), x)")]
    [InlineData("Runner.RunAll({|FOSSIL007:named_children().Select(child => child.module).OfType<Linear>()|}, x)")]
    [InlineData("Runner.RunAll({|FOSSIL007:children().OfType<Linear>()|}, x)")]
    [InlineData("new Block({|FOSSIL007:Sequential(up, ReLU())[0]|}).forward(x)")]
    [InlineData("new Block(Sequential(up, ReLU())).forward(x)")]
    [InlineData("Set(up, new Block(ReLU()), x)", "static Tensor Set(Linear layer, Block block, Tensor x) { block.Layer = {|FOSSIL007:layer|}; return block.forward(x); }")]
    [InlineData("Add(up, new Block(ReLU()), x)", "static Tensor Add(Linear layer, Block block, Tensor x) { block.More.Add({|FOSSIL007:layer|}); return block.forward(x); }")]
    [InlineData("new Own(up).forward(x)", "class Own(Linear layer) : Block({|FOSSIL007:layer|});")]
    [InlineData("new Own(up).forward(x)", "class Own(Linear layer) : Block(ReLU()) { protected override IModule<Tensor, Tensor> Make() => {|FOSSIL007:layer|}; }")]
    [InlineData("Runner.RunNamed({|FOSSIL007:Named()|}, x)", "Dictionary<string, Linear> Named() { var all = new Dictionary<string, Linear>(); all[\"up\"] = up; return all; }")]
    public Task What_reaches_code_that_was_compiled_before_is_reported(string expression, string members = "") =>
        Verify.Reports<UseNotRewired>(Layer(expression, members), library: Compiled);

    private static readonly Microsoft.CodeAnalysis.MetadataReference Compiled = Verify.Library("""
        public static class Runner
        {
            public static Tensor Run(Module<Tensor, Tensor> module, Tensor x) => module.forward(x);
            public static Tensor RunAll(IEnumerable<Module<Tensor, Tensor>> modules, Tensor x) => modules.Aggregate(x, (y, module) => module.forward(y));
            public static Tensor RunMade(Func<Module<Tensor, Tensor>> make, Tensor x) => make().forward(x);
            public static Tensor RunNamed(IReadOnlyDictionary<string, Linear> modules, Tensor x) => modules.Values.First().forward(x);
        }
        public class Block(IModule<Tensor, Tensor> layer)
        {
            public IModule<Tensor, Tensor> Layer { get; set; } = layer;
            public List<Linear> More { get; } = [];
            protected virtual IModule<Tensor, Tensor> Make() => Layer;
            public Tensor forward(Tensor x) => ((Module<Tensor, Tensor>)Make()).forward(x);
        }
        """);

    [Fact]
    public Task A_method_group_becomes_a_lambda() => Verify.Fixes<UseNotRewired, CallInLambdaFix>(
        Layer("Apply(/* kept */ {|FOSSIL007:up.forward|}, x)", "static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);"),
        Layer("Apply(/* kept */ input => up.forward(input), x)", "static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);"));
}
