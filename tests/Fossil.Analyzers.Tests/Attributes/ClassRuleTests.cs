using Fossil.Analyzers.Attributes;
using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Uses;
using Microsoft.CodeAnalysis.CSharp;

namespace Fossil.Analyzers.Tests.Attributes;

public class ClassRuleTests
{
    private static string Layer(string attribute, string modifiers = "public", string rest = "") => $$"""
        {{attribute}}
        {{modifiers}} partial class Layer : Module<Tensor, Tensor>
        {
            protected readonly Linear up = Linear(64, 64);
            public Layer() : base("Layer") => RegisterComponents();
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        {{rest}}
        """;

    [Theory]
    [InlineData("[FossilAdapt(\"up\", ShardSize = {|FOSSIL021:4096|})]")]
    [InlineData("[FossilAdapt(\"up\", ShardSize = 2048)]")]
    [InlineData("[FossilAdapt(\"up\", ShardSize = 4096)]", "is_global = true\nfossil_largest_shard_size = 8192\n")]
    [InlineData("[FossilAdapt(\"up\", ShardSize = {|FOSSIL021:512|})]", "is_global = true\nfossil_largest_shard_size = 256\n")]
    [InlineData("[FossilAdapt(\"up\", ShardSize = 512)]", "is_global = true\nfossil_largest_shard_size = many\n")]
    public Task Absurd_shard_sizes(string attribute, string? settings = null) => Verify.Reports<ShardSizeAbsurd>(Layer(attribute), settings);

    [Theory]
    [InlineData("public class Derived : Layer { private new readonly Linear {|FOSSIL022:up|} = Linear(1, 1); }")]
    [InlineData("[FossilAdapt({|FOSSIL022:\"up\"|}, \"down\")] public partial class Derived : Layer { private readonly Linear down = Linear(1, 1); }")]
    [InlineData("[FossilAdapt(\"down\")] public partial class Derived : Layer { private readonly Linear down = Linear(1, 1); }")]
    [InlineData("public class Derived : Layer { private readonly Linear other = Linear(1, 1); }")]
    public Task Targets_of_a_base_class(string derived) => Verify.Reports<InheritedTargetHidden>(Layer("[FossilAdapt(\"up\")]", rest: derived));

    [Fact]
    public Task An_overridden_target() => Verify.Reports<InheritedTargetHidden>("""
        [FossilAdapt("up")]
        public partial class Base() : Module<Tensor, Tensor>("Base")
        {
            protected virtual Linear up { get; } = Linear(64, 64);
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        public class Derived : Base
        {
            protected override Linear {|FOSSIL022:up|} { get; } = Linear(64, 64);
        }
        """);

    [Theory]
    [InlineData("", "")]
    [InlineData("abstract", "public class Derived : Layer;")]
    public Task Classes_that_are_constructed_are_not_reported(string modifier, string rest) =>
        Verify.Reports<AbstractClassUnderived>(Layer("[FossilAdapt(\"up\")]", "public " + modifier, rest));

    [Fact]
    public Task An_abstract_class_without_derived_classes() => Verify.Reports<AbstractClassUnderived>(
        Layer("[FossilAdapt(\"up\")]", "public abstract").Replace("class Layer", "class {|FOSSIL023:Layer|}", StringComparison.Ordinal));

    [Theory]
    [InlineData("[AdapterWidths(\"inFeatures\", \"OutFeatures\")]")]
    [InlineData("[{|FOSSIL027:AdapterWidths(\"input\", \"OutFeatures\")|}]")]
    public Task Declared_widths(string attribute) => Verify.Reports<AdapterWidthsUnknown>($$"""
        {{attribute}}
        public class Quantized(int inFeatures) : Module<Tensor, Tensor>("Quantized")
        {
            public int OutFeatures { get; } = inFeatures;
            public override Tensor forward(Tensor x) => x;
        }
        """);

    [Theory]
    [InlineData(LanguageVersion.CSharp10, "{|FOSSIL035:Layer|}")]
    [InlineData(LanguageVersion.CSharp11, "Layer")]
    [InlineData(LanguageVersion.CSharp14, "Layer")]
    public Task Old_language_versions(LanguageVersion version, string name) => Verify.Reports<LanguageVersionTooOld>(
        Layer("[FossilAdapt(\"up\")]").Replace("class Layer", $"class {name}", StringComparison.Ordinal), version: version);

    [Theory]
    [InlineData("Linear", "Linear(64, 64)", false)]
    [InlineData("Module<Tensor, Tensor>", "ReLU()", false)]
    [InlineData("ModuleList<Linear>", "new()", false)]
    [InlineData("Sequential", "Sequential((\"a\", Linear(1, 1)))", true)]
    [InlineData("Conv2d[]", "[Conv2d(3, 3, kernel_size: 1)]", true)]
    [InlineData("Dropout", "Dropout(0.5)", true)]
    [InlineData("Embedding", "Embedding(10, 10)", true)]
    public Task Targets_without_a_matrix(string type, string value, bool isWrong) => Verify.Reports<TargetWithoutMatrix>($$"""
        [FossilAdapt({{(isWrong ? "{|FOSSIL036:\"up\"|}" : "\"up\"")}})]
        public partial class Layer() : Module<Tensor, Tensor>("Layer")
        {
            private readonly {{type}} up = {{value}};
            public override Tensor forward(Tensor x) => x;
        }
        """);

    [Theory]
    [InlineData("{|FOSSIL036:\"embed\"|}", "Embedding(10, 64)", "Embedding")]
    [InlineData("\"embed\", OnRequest = true", "Embedding(10, 64)", "Embedding")]
    [InlineData("{|FOSSIL036:\"embed\"|}, OnRequest = true", "LayerNorm(64)", "LayerNorm")]
    public Task Embeddings_are_targets_on_request(string arguments, string value, string type) => Verify.Reports<TargetWithoutMatrix>($$"""
        [FossilAdapt({{arguments}})]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly {{type}} embed = {{value}};
            public Layer() : base("Layer") => RegisterComponents();
            public override Tensor forward(Tensor x) => embed.forward(x);
        }
        """);
}
