using Fossil.Analyzers.Attributes;
using Fossil.Analyzers.Tests.Support;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Attributes;

public class ShardSizeWithoutKernelsTests
{
    private const string Layer = """

        [FossilAdapt("p", ShardSize = 8)]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear p = Linear(8, 8);
            public Layer() : base("Layer") => RegisterComponents();
            public override Tensor forward(Tensor x) => x;
        }
        """;

    [Theory]
    [InlineData("[assembly: FossilShardSizes(8, 16, 65536)]")]
    [InlineData("[assembly: FossilShardSizes]")]
    [InlineData("[assembly: FossilShardSizes(new[] { 8, 16 }), FossilShardSizes(24)]")]
    [InlineData("[assembly: FossilShardSizes(8, {|FOSSIL037:8|})]")]
    [InlineData("[assembly: FossilShardSizes(new[] { 8, {|FOSSIL037:8|} })]")]
    [InlineData("[assembly: FossilShardSizes(8, 16)]\n[assembly: FossilShardSizes(24, {|FOSSIL037:16|})]")]
    [InlineData("[assembly: FossilShardSizes({|FOSSIL037:65537|})]")]
    [InlineData("[assembly: FossilShardSizes({|FOSSIL004:0|}, {|FOSSIL004:-8|})]")]
    [InlineData("[assembly: FossilShardSizes({|CS1503:\"8\"|})]")]
    public Task Sizes(string attributes) => Verify.Reports<ShardSizeWithoutKernels>(attributes + Layer);

    [Fact]
    public Task Too_many() => Verify.Reports<ShardSizeWithoutKernels>(
        $"[assembly: FossilShardSizes({string.Join(", ", Enumerable.Range(1, 128))}, {{|FOSSIL037:129|}}, {{|FOSSIL037:128|}})]{Layer}");

    [Fact]
    public Task The_fix_removes_the_size() => Verify.Fixes<ShardSizeWithoutKernels, RemoveArgumentFix>(
        "[assembly: FossilShardSizes(8, {|FOSSIL037:8|}, 16)]" + Layer, "[assembly: FossilShardSizes(8, 16)]" + Layer);
}
