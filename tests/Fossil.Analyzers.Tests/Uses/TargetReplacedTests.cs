using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Uses;

namespace Fossil.Analyzers.Tests.Uses;

public class TargetReplacedTests
{
    private static string Layer(string members, string outside = "") => $$"""
        [FossilAdapt("up")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            internal Linear up;
            internal Linear other = Linear(1, 1);
            public Layer() : base("Layer") { up = Linear(64, 64); Init(); RegisterComponents(); }
            private void Init() => up = Linear(64, 64);
            {{members}}
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        static class Program
        {
            static void Use(Layer layer) { {{outside}} }
        }
        """;

    [Theory]
    [InlineData("", "_ = new Layer { up = Linear(64, 64) };")]
    [InlineData("", "layer.other = Linear(64, 64);")]
    [InlineData("public void Move(Device device) => up = up.to(device);", "")]
    [InlineData("public void Free() { up = null!; other = Linear(2, 2); }", "")]
    public Task Construction_and_moves_are_not_reported(string members, string outside) => Verify.Reports<TargetReplaced>(Layer(members, outside));

    [Theory]
    [InlineData("public void Widen() => {|FOSSIL024:up|} = Linear(64, 128);", "")]
    [InlineData("public void Widen() { {|FOSSIL024:this.up|} = Linear(64, 128); }", "")]
    [InlineData("", "{|FOSSIL024:layer.up|} = Linear(64, 128);")]
    public Task Later_assignments_are_reported(string members, string outside) => Verify.Reports<TargetReplaced>(Layer(members, outside));

    [Fact]
    public Task A_target_that_is_made_late_is_not_replaced() => Verify.Reports<TargetReplaced>("""
        [FossilAdapt("up")]
        public partial class Lazy() : Module<Tensor, Tensor>("Lazy")
        {
            private Linear? up = null;
            public void Build(int width) { up = Linear(width, 64); register_module("up", up); }
            public override Tensor forward(Tensor x) => up!.forward(x);
        }
        """);
}
