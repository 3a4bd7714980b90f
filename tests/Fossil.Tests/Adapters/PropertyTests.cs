using CsCheck;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>What must hold for every shape, shard size, variant and dtype.</summary>
public class PropertyTests
{
    private static readonly Gen<Shape> Shapes =
        from variant in Gen.Enum<FossilVariant>()
        from shardSize in Gen.Int[1, 9]
        from chunks in Gen.Int[1, 6]
        from rest in Gen.Int[0, 8]
        from outBlocks in Gen.Int[1, 5]
        from mini in Gen.Int[1, 5]
        from rows in Gen.Int[1, 12]
        from bias in Gen.Bool
        from seed in Gen.Int[1, 1_000_000]
        select new Shape(
            variant,
            shardSize,
            (shardSize * chunks) + (variant == FossilVariant.Bat ? 0 : rest % shardSize),
            variant switch { FossilVariant.Bat => shardSize * outBlocks, FossilVariant.Mini => mini * outBlocks, _ => outBlocks + mini },
            mini,
            rows,
            bias,
            seed);

    [Fact]
    public void Merged_unmerged_converted_and_mixed_give_the_same() => Shapes.SampleSeeded(
        shape =>
        {
            using var scope = NewDisposeScope();
            using var layer = shape.Create(ScalarType.Float32, out var adapted);
            using var _ = adapted;
            using var noGrad = no_grad();
            var x = randn(shape.Rows, 3, shape.InFeatures);
            var expected = layer.forward(x);
            using (adapted.UseAdapters([.. Enumerable.Repeat("default", (int)shape.Rows)])) AssertClose(expected, layer.forward(x), 1e-5);

            var basis = layer.proj.weight.detach().clone();
            adapted.Merge();
            AssertClose(expected, layer.forward(x), 1e-4);
            var change = layer.proj.weight - basis;
            adapted.Unmerge();
            AssertClose(basis, layer.proj.weight, 1e-4);
            AssertClose(expected, layer.forward(x), 1e-4);

            using var conversion = Fossil.Adapters.LowRankChanges.Of(
                new Fossil.Adapters.AttachedAdapter("default", adapted.GetConfig()) { Layers = { adapted.Targets[0].Layers[0] } },
                shape.Variant == FossilVariant.Bat ? (int)Math.Min(shape.InFeatures, shape.OutFeatures) : null,
                null);
            AssertClose(change, conversion.Changes[0].B.mm(conversion.Changes[0].A), 1e-4);
        },
        count: 60);

    [Fact]
    public void Gradients_are_those_of_finite_differences() => Shapes.SampleSeeded(
        shape =>
        {
            using var scope = NewDisposeScope();
            using var layer = shape.Create(ScalarType.Float64, out var adapted);
            using var _ = adapted;
            var x = randn(shape.Rows, shape.InFeatures, dtype: ScalarType.Float64).requires_grad_(true);
            var shard = adapted.TrainableParameters().Single().Parameter;
            double Value() => layer.forward(x).square().sum().item<double>();
            layer.forward(x).square().sum().backward();
            foreach (var (tensor, gradient) in new[] { (x.detach(), x.grad!), (shard.detach(), shard.grad!) })
            {
                using var noGrad = no_grad();
                var direction = randn_like(tensor);
                const double Step = 1e-5;
                tensor.add_(direction, Step);
                var up = Value();
                tensor.add_(direction, -2 * Step);
                var down = Value();
                tensor.add_(direction, Step);
                var expected = (gradient * direction).sum().item<double>();
                Assert.Equal(expected, (up - down) / (2 * Step), 1e-5 * Math.Max(1, Math.Abs(expected)));
            }
        },
        count: 40);

    [Fact]
    public void A_bfloat16_base_stays_within_its_rounding() => Shapes.SampleSeeded(
        shape =>
        {
            using var scope = NewDisposeScope();
            using var layer = shape.Create(ScalarType.Float32, out var adapted);
            using var _ = adapted;
            using var noGrad = no_grad();
            layer.proj.to(ScalarType.BFloat16);
            var x = randn(shape.Rows, shape.InFeatures).to(ScalarType.BFloat16);
            var rounded = layer.forward(x);
            Assert.Equal(ScalarType.BFloat16, rounded.dtype);
            layer.proj.to(ScalarType.Float32);
            AssertClose(layer.forward(x.to(ScalarType.Float32)), rounded.to(ScalarType.Float32), 0.02);
        },
        count: 40);

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        using var scope = NewDisposeScope();
        var largest = Math.Max(1, expected.abs().max().item<float>());
        Assert.InRange((expected - actual).abs().max().item<float>(), 0, tolerance * largest);
    }

    internal sealed record Shape(FossilVariant Variant, int ShardSize, long InFeatures, long OutFeatures, int Mini, long Rows, bool Bias, int Seed)
    {
        public OneLinear Create(ScalarType dtype, out AdaptedModel adapted)
        {
            random.manual_seed(Seed);
            var layer = new OneLinear(InFeatures, OutFeatures, Bias);
            adapted = layer.AttachAdapters(new FossilConfig { ShardSize = ShardSize, Variant = Variant, MiniSize = Mini, AllowPadding = Variant != FossilVariant.Bat });
            layer.to(dtype);
            TinyModel.Randomize(adapted, scale: 0.2);
            return layer;
        }
    }
}
