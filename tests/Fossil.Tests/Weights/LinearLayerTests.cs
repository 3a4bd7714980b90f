using Fossil.TestData;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Weights;

/// <summary>The library's linear layer: TorchSharp's with a floating-point weight, and more with any other.</summary>
public class LinearLayerTests
{
    [Theory]
    [InlineData(true, ScalarType.Float32)]
    [InlineData(false, ScalarType.BFloat16)]
    public void With_a_parameter_it_is_TorchSharps_layer_bit_for_bit(bool bias, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        var theirs = nn.Linear(24, 40, bias, dtype: dtype);
        random.manual_seed(1);
        var ours = new LinearLayer(24, 40, bias, dtype: dtype);

        Assert.Equal(theirs.state_dict().Keys.Order(), ours.state_dict().Keys.Order());
        foreach (var (name, tensor) in theirs.state_dict()) AssertSame(tensor, ours.state_dict()[name]);
        Assert.Equal(bias, ours.Bias is not null);
        var input = randn(2, 3, 24).to(dtype);
        AssertSame(theirs.forward(input), ours.forward(input));
    }

    [Fact]
    public void Adapters_compute_with_it_what_they_compute_with_TorchSharps_and_merge_into_it()
    {
        using var scope = NewDisposeScope();
        var weight = randn(40, 24);
        foreach (var config in (AdapterConfig[])[new FossilConfig { ShardSize = 8 }, new FossilConfig { ShardSize = 8, Variant = FossilVariant.Bat }, new LoraConfig { Rank = 4, UseDora = true }])
        {
            var outputs = new List<Tensor>();
            foreach (var layer in (nn.Module<Tensor, Tensor>[])[new LinearLayer(weight.clone()), Theirs(weight)])
            {
                var model = new OneLayer(layer);
                random.manual_seed(2);
                using var adapted = model.AttachAdapters(config with { TargetModules = ["proj"] });
                using var noGrad = no_grad();
                foreach (var (_, parameter) in model.named_parameters().Where(entry => entry.parameter.requires_grad)) parameter.add_(randn(parameter.shape).mul(0.1));
                foreach (var rows in new[] { 1, 5 })
                {
                    random.manual_seed(3);
                    outputs.Add(model.forward(randn(rows, 24)));
                }

                adapted.Merge();
                outputs.Add(layer.get_parameter("weight")!.detach().clone());
                adapted.Unmerge();
                AssertSame(weight, layer.get_parameter("weight")!);
            }

            for (var i = 0; i < outputs.Count / 2; i++) AssertSame(outputs[i + (outputs.Count / 2)], outputs[i]);
        }
    }

    [Fact]
    public void A_weight_that_another_layer_shares_gets_memory_of_its_own_while_it_is_merged()
    {
        using var scope = NewDisposeScope();
        var shared = new Parameter(randn(24, 24));
        var (model, other) = (new OneLayer(new LinearLayer(shared)), new LinearLayer(shared));
        var both = new Pair(model, other);
        using var adapted = both.AttachAdapters(new LoraConfig { Rank = 2, InitLoraWeights = LoraInitialization.Random, TargetModules = ["proj"] });
        var before = shared.clone();
        CollectedWarnings.During(() => adapted.Merge());
        AssertSame(before, other.get_parameter("weight")!);
        Assert.False(model.proj.get_parameter("weight")!.equal(before).all().item<bool>());
        adapted.Unmerge();
        Assert.Same(other.get_parameter("weight"), model.proj.get_parameter("weight"));
    }

    [Fact]
    public void Another_form_takes_the_place_of_the_parameter_and_goes_where_the_module_goes()
    {
        using var scope = NewDisposeScope();
        var layer = new LinearLayer(16, 12);
        var bits = layer.Bias!.clone();
        layer.Replace(Int8Weight.Of(layer.Weight.ToTensor(ScalarType.Float32)));

        Assert.False(layer.IsFloatingPoint);
        Assert.Equal(["bias", "weight", "weight_1"], layer.state_dict().Keys.Order());
        Assert.Equal(["bias"], layer.named_parameters().Select(entry => entry.name));
        var input = randn(3, 16);
        var output = layer.forward(input);
        Assert.True(nn.functional.linear(input, layer.Weight.ToTensor(ScalarType.Float32), bits).allclose(output, atol: 1e-5));

        layer.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, layer.Weight.Dtype);
        Assert.Equal(ScalarType.Int8, layer.Weight.Data[0].dtype);
        Assert.True(layer.forward(input.to(ScalarType.Float64)).allclose(output.to(ScalarType.Float64), atol: 1e-5));

        layer.Replace(Int8Weight.Of(randn(12, 16)));
        Assert.Equal(["bias", "weight", "weight_1"], layer.state_dict().Keys.Order());
    }

    [Fact]
    public void It_outlives_the_dispose_scope_in_which_it_is_made()
    {
        LinearLayer plain, encoded;
        using (NewDisposeScope())
        {
            plain = new LinearLayer(8, 8);
            encoded = new LinearLayer(Int8Weight.Of(randn(8, 8)), randn(8));
        }

        using (plain)
        using (encoded)
        using (NewDisposeScope()) Assert.Equal(plain.forward(ones(2, 8)).shape, encoded.forward(ones(2, 8)).shape);
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => new LinearLayer(randn(4)));
        Assert.Throws<ArgumentException>(() => new LinearLayer(randn(4, 8), randn(8)));
        Assert.Throws<ArgumentException>(() => new LinearLayer(Int8Weight.Of(randn(4, 8)), randn(8)));
        Assert.Throws<ArgumentException>(() => new LinearLayer(8, 4).Replace(Int8Weight.Of(randn(8, 8))));
    }

    private static Linear Theirs(Tensor weight)
    {
        var linear = nn.Linear(weight.shape[1], weight.shape[0], hasBias: false);
        using var noGrad = no_grad();
        linear.weight!.copy_(weight);
        return linear;
    }

    private static void AssertSame(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.True(expected.equal(actual).all().item<bool>());
    }

    private sealed class Pair : nn.Module
    {
        private readonly OneLayer adaptable;
        private readonly LinearLayer plain;

        public Pair(OneLayer adaptable, LinearLayer plain)
            : base(nameof(Pair))
        {
            (this.adaptable, this.plain) = (adaptable, plain);
            RegisterComponents();
        }

        public Tensor forward(Tensor input) => adaptable.forward(input) + plain.forward(input);
    }
}
