using Fossil.Analyzers.Shapes;
using Fossil.Analyzers.Tests.Support;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Shapes;

public class ChangeSettingFixTests
{
    private static string Layer(string attribute, string width, string output = "2050") => $$"""
        [FossilAdapt("up"{{attribute}})] // kept
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up = Linear({{width}}, {{output}});
            public Layer() : base("Layer") => RegisterComponents();
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """;

    [Theory]
    [InlineData("", ", ShardSize = 50", "Set ShardSize = 50")]
    [InlineData(", ShardSize = /* r */ 64", ", ShardSize = /* r */ 50", "Set ShardSize = 50")]
    [InlineData("", ", ShardSize = 82", "Set ShardSize = 82")]
    [InlineData("", ", ShardSize = 2", "Set ShardSize = 2")]
    [InlineData("", ", AllowPadding = true", "Set AllowPadding = true")]
    public Task Sizes_that_divide_are_offered(string before, string after, string title) =>
        Verify.Fixes<TargetWidthAnalyzer, ChangeSettingFix>(Layer(before, "{|FOSSIL005:2050|}"), Layer(after, "2050"), title);

    [Fact]
    public Task Sizes_divide_both_widths() =>
        Verify.Fixes<TargetWidthAnalyzer, ChangeSettingFix>(Layer("", "{|FOSSIL005:96|}", "48"), Layer(", ShardSize = 48", "96", "48"), "Set ShardSize = 48");

    [Fact]
    public Task A_mini_size_that_divides_is_offered() => Verify.Fixes<TargetWidthAnalyzer, ChangeSettingFix>(
        Layer(", Variant = FossilVariant.Mini, MiniSize = 8", "64", "{|FOSSIL017:100|}"),
        Layer(", Variant = FossilVariant.Mini, MiniSize = 5", "64", "100"),
        "Set MiniSize = 5");

    [Theory]
    [InlineData(2050, 64, "50,82,2")]
    [InlineData(4096, 100, "128,64")]
    [InlineData(97, 64, "97")]
    public void Near_divisors(long width, long wanted, string expected) => Assert.Equal(expected, string.Join(",", Divisions.Near(width, wanted)));
}
