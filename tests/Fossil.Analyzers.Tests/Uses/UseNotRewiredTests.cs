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
    public Task Calls_that_are_rewired_are_not_reported(string expression, string members = "") => Verify.Reports<UseNotRewired>(Layer(expression, members));

    [Theory]
    [InlineData("Apply({|FOSSIL007:up.forward|}, x)", "static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);")]
    [InlineData("nn.Sequential({|FOSSIL007:up|}, {|FOSSIL007:down|}).forward(x)")]
    [InlineData("Sequential((\"up\", {|FOSSIL007:up|})).forward(x)")]
    [InlineData("Keep(() => {|FOSSIL007:up.forward(x)|})", "static Tensor Keep(System.Linq.Expressions.Expression<Func<Tensor>> e) => null!;")]
    [InlineData("((dynamic){|FOSSIL007:up|}).forward(x)")]
    [InlineData("((Linear){|FOSSIL007:typeof(Layer).GetField(\"up\")|}!.GetValue(this)!).forward(x)")]
    public Task Uses_without_the_adapter_are_reported(string expression, string members = "") => Verify.Reports<UseNotRewired>(Layer(expression, members));

    [Fact]
    public Task A_method_group_becomes_a_lambda() => Verify.Fixes<UseNotRewired, CallInLambdaFix>(
        Layer("Apply(/* kept */ {|FOSSIL007:up.forward|}, x)", "static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);"),
        Layer("Apply(/* kept */ input => up.forward(input), x)", "static Tensor Apply(Func<Tensor, Tensor> f, Tensor x) => f(x);"));
}
