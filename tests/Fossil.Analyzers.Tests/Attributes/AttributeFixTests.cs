using Fossil.Analyzers.Attributes;
using Fossil.Analyzers.Tests.Support;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Attributes;

public class AttributeFixTests
{
    private static string Attention(string attribute) => $$"""
        // The first layer.
        {{attribute}} // as in the paper
        public partial class Attention : Module<Tensor, Tensor>
        {
            private readonly Linear q_proj = Linear(64, 64), v_proj = Linear(64, 64);
            public Attention() : base("Attention") => RegisterComponents();
            public override Tensor forward(Tensor x) => x;
        }
        """;

    [Fact]
    public Task Partial_is_added_and_comments_stay() => Verify.Fixes<AdaptAttributeAnalyzer, AddPartialFix>(
        """
        /// <summary>Kept.</summary>
        [FossilAdapt("up")] // kept
        class {|FOSSIL001:One|} : Module<Tensor, Tensor>
        {
            private readonly Linear up = Linear(64, 64);
            public One() : base("One") => RegisterComponents();
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        [FossilAdapt("up")]
        public sealed /* kept */ class {|FOSSIL001:Two|} : Module<Tensor, Tensor>
        {
            private readonly Linear up = Linear(64, 64);
            public Two() : base("Two") => RegisterComponents();
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """,
        """
        /// <summary>Kept.</summary>
        [FossilAdapt("up")] // kept
        partial class One : Module<Tensor, Tensor>
        {
            private readonly Linear up = Linear(64, 64);
            public One() : base("One") => RegisterComponents();
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        [FossilAdapt("up")]
        public sealed /* kept */ partial class Two : Module<Tensor, Tensor>
        {
            private readonly Linear up = Linear(64, 64);
            public Two() : base("Two") => RegisterComponents();
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """);

    [Fact]
    public Task Partial_is_added_to_each_type_around_a_class() => Verify.Fixes<AdaptAttributeAnalyzer, AddPartialFix>(
        """
        public class Outer
        {
            public static class Middle
            {
                [FossilAdapt("up")]
                public class {|FOSSIL001:{|FOSSIL001:{|FOSSIL001:Inner|}|}|}() : Module<Tensor, Tensor>("Inner")
                {
                    private readonly Linear up = Linear(64, 64);
                    public override Tensor forward(Tensor x) => up.forward(x);
                }
            }
        }
        """,
        """
        public partial class Outer
        {
            public static partial class Middle
            {
                [FossilAdapt("up")]
                public partial class Inner() : Module<Tensor, Tensor>("Inner")
                {
                    private readonly Linear up = Linear(64, 64);
                    public override Tensor forward(Tensor x) => up.forward(x);
                }
            }
        }
        """);

    [Fact]
    public Task A_name_becomes_the_nearest_one() => Verify.Fixes<AdaptAttributeAnalyzer, UseNearestNameFix>(
        Attention("[FossilAdapt(\"q_proj\", /* values */ {|FOSSIL002:\"vproj\"|} )]"),
        Attention("[FossilAdapt(\"q_proj\", /* values */ \"v_proj\" )]"));

    [Theory]
    [InlineData("[FossilAdapt(\"q_proj\", ShardSize = {|FOSSIL004:0|} /* r */)]", "[FossilAdapt(\"q_proj\", ShardSize = 64 /* r */)]")]
    [InlineData("[FossilAdapt(\"q_proj\", Variant = FossilVariant.Mini, MiniSize = {|FOSSIL016:-1|})]", "[FossilAdapt(\"q_proj\", Variant = FossilVariant.Mini, MiniSize = 1)]")]
    public Task A_size_becomes_the_default(string before, string after) => Verify.Fixes<AdaptAttributeAnalyzer, ChangeSettingFix>(Attention(before), Attention(after));

    [Theory]
    [InlineData("[FossilAdapt(\"q_proj\", {|FOSSIL011:\"q_proj\"|}, \"v_proj\")]", "[FossilAdapt(\"q_proj\", \"v_proj\")]")]
    [InlineData("[FossilAdapt(\"q_proj\", MiniSize = {|FOSSIL015:4|})]", "[FossilAdapt(\"q_proj\")]")]
    [InlineData("[FossilAdapt(\"q_proj\", MiniSize = {|FOSSIL015:4|}, ShardSize = 8)]", "[FossilAdapt(\"q_proj\", ShardSize = 8)]")]
    public Task Arguments_without_effect_are_removed(string before, string after) => Verify.Fixes<AdaptAttributeAnalyzer, RemoveArgumentFix>(Attention(before), Attention(after));
}
