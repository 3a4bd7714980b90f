using Fossil.Analyzers.Attributes;
using Fossil.Analyzers.Tests.Support;

namespace Fossil.Analyzers.Tests.Attributes;

public class AdaptAttributeAnalyzerTests
{
    private static string Attention(string attribute, string members = "private readonly Linear q_proj = Linear(64, 64), v_proj = Linear(64, 64);") => $$"""
        {{attribute}}
        public partial class Attention : Module<Tensor, Tensor>
        {
            {{members}}
            public Attention() : base("Attention") => RegisterComponents();
            public override Tensor forward(Tensor x) => x;
        }
        """;

    [Theory]
    [InlineData("[FossilAdapt(\"q_proj\", \"v_proj\", ShardSize = 32)]")]
    [InlineData("[FossilAdapt(\"q_proj\"), FossilAdapt(\"v_proj\", ShardSize = 16, Variant = FossilVariant.Mini, MiniSize = 4, Dropout = 0.1, AllowPadding = true)]")]
    [InlineData("[FossilAdapt(new[] { nameof(q_proj) }, Variant = FossilVariant.Bat)]")]
    public Task Valid_attributes_are_not_reported(string attribute) => Verify.Reports<AdaptAttributeAnalyzer>(Attention(attribute));

    [Theory]
    [InlineData("[FossilAdapt({|FOSSIL002:\"q_prj\"|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", {|FOSSIL002:\"zzzzzzzzzzzz\"|})]")]
    [InlineData("[FossilAdapt(new[] { \"q_proj\", {|FOSSIL002:\"Q_PROJ\"|} })]")]
    [InlineData("[FossilAdapt(\"q_proj\", ShardSize = {|FOSSIL004:0|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", ShardSize = {|FOSSIL004:-64|})]")]
    [InlineData("[{|FOSSIL010:FossilAdapt|}]")]
    [InlineData("[{|FOSSIL010:FossilAdapt(ShardSize = 8)|}]")]
    [InlineData("[FossilAdapt({|FOSSIL010:\"\"|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", {|FOSSIL011:\"q_proj\"|})]")]
    [InlineData("[FossilAdapt(\"q_proj\"), FossilAdapt(\"v_proj\", {|FOSSIL011:\"q_proj\"|}, ShardSize = 8)]")]
    [InlineData("[FossilAdapt({|FOSSIL013:\"forward\"|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", MiniSize = {|FOSSIL015:4|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", Variant = FossilVariant.Bat, Dropout = {|FOSSIL015:0.1|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", Variant = FossilVariant.Bat, AllowPadding = {|FOSSIL015:true|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", Variant = FossilVariant.Mini, MiniSize = {|FOSSIL016:0|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", Dropout = {|FOSSIL018:1|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", Dropout = {|FOSSIL018:-0.5|})]")]
    [InlineData("[FossilAdapt(\"q_proj\", Variant = {|FOSSIL019:(FossilVariant)7|})]")]
    public Task Wrong_arguments_are_reported_where_they_stand(string attribute) => Verify.Reports<AdaptAttributeAnalyzer>(Attention(attribute));

    [Theory]
    [InlineData("private readonly Dropout q_proj = Dropout(0.5);", false)]
    [InlineData("private readonly ModuleList<Linear> q_proj = new();", false)]
    [InlineData("private readonly Linear[] q_proj = [];", false)]
    [InlineData("private readonly Module<Tensor, Tensor>? q_proj = null;", false)]
    [InlineData("private readonly List<Linear> q_proj = [];", false)]
    [InlineData("public Linear q_proj { get; } = Linear(64, 64);", false)]
    [InlineData("private readonly Tensor q_proj = zeros(1);", true)]
    [InlineData("private readonly int q_proj = 1;", true)]
    [InlineData("private readonly Bilinear q_proj = Bilinear(1, 1, 1);", true)]
    [InlineData("private readonly string q_proj = \"\";", true)]
    [InlineData("private readonly Linear[,] q_proj = new Linear[1, 1];", true)]
    public Task Only_modules_from_tensor_to_tensor_are_targets(string member, bool isWrong) =>
        Verify.Reports<AdaptAttributeAnalyzer>(Attention(isWrong ? "[FossilAdapt({|FOSSIL003:\"q_proj\"|})]" : "[FossilAdapt(\"q_proj\")]", member));

    [Fact]
    public Task Static_and_write_only_members_cannot_be_read() => Verify.Reports<AdaptAttributeAnalyzer>(Attention(
        "[FossilAdapt({|FOSSIL013:\"q_proj\"|}, {|FOSSIL013:\"v_proj\"|})]",
        "private static readonly Linear q_proj = Linear(64, 64); public Linear v_proj { set { } }"));

    [Fact]
    public Task Private_members_of_a_base_class_cannot_be_read() => Verify.Reports<AdaptAttributeAnalyzer>("""
        public abstract class Base(string name) : Module<Tensor, Tensor>(name)
        {
            private readonly Linear hidden = Linear(64, 64);
            protected readonly Linear shown = Linear(64, 64);
            public override Tensor forward(Tensor x) => hidden.forward(x);
        }

        [FossilAdapt({|FOSSIL013:"hidden"|}, "shown")]
        public partial class Derived() : Base("Derived");
        """);

    [Fact]
    public Task Names_that_are_no_constants_are_reported() => Verify.Reports<AdaptAttributeAnalyzer>(Attention("[{|FOSSIL010:FossilAdapt(null)|}]"));

    [Fact]
    public Task Classes_and_the_types_around_them_must_be_partial() => Verify.Reports<AdaptAttributeAnalyzer>("""
        [FossilAdapt("up")]
        public class {|FOSSIL001:Plain|} : Module<Tensor, Tensor>
        {
            private readonly Linear up = Linear(64, 64);
            public Plain() : base("Plain") { }
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        public partial class Outer
        {
            [FossilAdapt("up")]
            public partial class Inner() : Module<Tensor, Tensor>("Inner")
            {
                private readonly Linear up = Linear(64, 64);
                public override Tensor forward(Tensor x) => up.forward(x);
            }
        }

        public static class Closed
        {
            [FossilAdapt("up")]
            public partial class {|FOSSIL001:Inner|}() : Module<Tensor, Tensor>("Inner")
            {
                private readonly Linear up = Linear(64, 64);
                public override Tensor forward(Tensor x) => up.forward(x);
            }
        }
        """);

    [Fact]
    public Task Annotated_classes_must_be_modules_that_other_files_can_name() => Verify.Reports<AdaptAttributeAnalyzer>("""
        [FossilAdapt("up")]
        public partial class {|FOSSIL009:NoModule|}
        {
            public readonly Linear up = Linear(64, 64);
        }

        [FossilAdapt({|FOSSIL013:"up"|})]
        public static partial class {|FOSSIL009:NoObject|}
        {
            public static readonly Linear up = Linear(64, 64);
        }

        [FossilAdapt("up")]
        file partial class {|FOSSIL014:Hidden|}() : Module<Tensor, Tensor>("Hidden")
        {
            private readonly Linear up = Linear(64, 64);
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """);
}
