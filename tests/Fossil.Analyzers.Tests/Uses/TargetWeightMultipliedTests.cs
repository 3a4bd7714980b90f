using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Uses;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Uses;

public class TargetWeightMultipliedTests
{
    private static string Layer(string expression, string members = "") => $$"""
        [FossilAdapt("up", "down", "experts", "proj", "custom", "embed", OnRequest = true)]
        public partial class Layer : Module<Tensor, Tensor>
        {
            internal readonly Linear up = Linear(64, 64), down = Linear(64, 64), other = Linear(64, 64);
            internal readonly ModuleList<Linear> experts = new();
            internal readonly LinearLayer proj = new(64, 64);
            internal readonly Custom custom = new();
            internal readonly Embedding embed = Embedding(64, 64);
            {{members}}
            public Layer() : base("Layer") => RegisterComponents();
            public override Tensor forward(Tensor x) => {{expression}};
        }
        public class Custom() : Module<Tensor, Tensor>("custom")
        {
            public readonly Parameter weight = new(zeros(64, 64));
            public override Tensor forward(Tensor x) => functional.linear(x, weight) + x.matmul(this.weight);
        }
        """;

    [Theory]
    [InlineData("{|FOSSIL041:functional.linear(x, up.weight, up.bias)|}")]
    [InlineData("{|FOSSIL041:nn.functional.linear(x, this.up.weight!)|}")]
    [InlineData("{|FOSSIL041:functional.linear(weights: up.weight!, input: x)|}")]
    [InlineData("{|FOSSIL041:up.weight!.matmul(x.t())|}.t()")]
    [InlineData("{|FOSSIL041:x.matmul(up.weight!.t())|} + up.bias")]
    [InlineData("{|FOSSIL041:torch.matmul(x, up.weight!.transpose(0, 1).to(x.dtype))|}")]
    [InlineData("{|FOSSIL041:x.mm(up.weight!.T)|}")]
    [InlineData("{|FOSSIL041:torch.addmm(up.bias!, x, up.weight!.t(), 1, 1)|}")]
    [InlineData("{|FOSSIL041:einsum(\"bi,oi->bo\", x, up.weight!)|}")]
    [InlineData("{|FOSSIL041:x.matmul(up.weight![TensorIndex.Slice(0, 8)].t())|}")]
    [InlineData("{|FOSSIL041:functional.linear(x, experts[0].weight!)|}")]
    [InlineData("{|FOSSIL041:functional.linear(x, up.get_parameter(\"weight\"))|}")]
    [InlineData("{|FOSSIL041:functional.linear(x, up.weight! + a.matmul(b))|}", "readonly Tensor a = zeros(64, 4), b = zeros(4, 64);")]
    [InlineData("{|FOSSIL041:functional.linear(x, proj.get_parameter(\"weight\"), proj.Bias)|}")]
    [InlineData("{|FOSSIL041:proj.Weight.Apply(x)|}")]
    [InlineData("{|FOSSIL041:x.matmul(custom.weight)|}")]
    [InlineData("Run(up, x)", "static Tensor Run(Linear layer, Tensor x) => {|FOSSIL041:functional.linear(x, layer.weight!, layer.bias)|};")]
    [InlineData("new[] { up, down }.Aggregate(x, (value, layer) => {|FOSSIL041:functional.linear(value, layer.weight!)|})")]
    [InlineData("Run(x)", "Tensor Run(Tensor x) { var w = up.weight!; var t = w.t(); return {|FOSSIL041:x.matmul(t)|}; }")]
    [InlineData("Run(x)", "Tensor Run(Tensor x) { foreach (var expert in experts) x = {|FOSSIL041:functional.linear(x, expert.weight!)|}; return x; }")]
    public Task Products_with_a_targets_weight_are_reported(string expression, string members = "") => Verify.Reports<TargetWeightMultiplied>(Layer(expression, members));

    [Theory]
    [InlineData("up.forward(x)")]
    [InlineData("functional.linear(x, other.weight, other.bias)")]
    [InlineData("functional.linear(x, up.weight!.detach(), up.bias)")]
    [InlineData("x.matmul(up.weight!.detach().t())")]
    [InlineData("up.weight!.matmul(up.weight!.t()).sub(eye(64)).pow(2).sum()")]
    [InlineData("x + up.weight!.pow(2).sum() * up.weight!.norm()")]
    [InlineData("x * up.weight!.shape[0]")]
    [InlineData("functional.linear(x, embed.weight!)")]
    [InlineData("functional.linear(up.forward(x), other.weight!)")]
    [InlineData("Run(other, x)", "static Tensor Run(Linear layer, Tensor x) => functional.linear(x, layer.weight!, layer.bias);")]
    [InlineData("x", "void Initialise() { init.normal_(up.weight!); down.weight = up.weight; }")]
    public Task Other_uses_of_weights_are_not(string expression, string members = "") => Verify.Reports<TargetWeightMultiplied>(Layer(expression, members));

    [Fact]
    public Task The_whole_of_forward_becomes_its_call() => Verify.Fixes<TargetWeightMultiplied, CallForwardFix>(
        Layer("{|FOSSIL041:functional.linear(/* in */ x, up.weight!, up.bias)|}"), Layer("up.forward(x) /* in */"));

    /// <summary>Without the bias it may be another product than the layer's.</summary>
    [Theory]
    [InlineData("{|FOSSIL041:functional.linear(x, up.weight!)|}")]
    [InlineData("{|FOSSIL041:functional.linear(x, up.weight!, down.bias)|}")]
    public Task Other_products_are_left_to_the_author(string expression) => Verify.Fixes<TargetWeightMultiplied, CallForwardFix>(Layer(expression), Layer(expression));
}
