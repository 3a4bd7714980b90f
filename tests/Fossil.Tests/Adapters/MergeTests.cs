using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Merging and unmerging: every order and state is defined.</summary>
public class MergeTests
{
    public static TheoryData<FossilVariant, ScalarType> Cases
    {
        get
        {
            var cases = new TheoryData<FossilVariant, ScalarType>();
            foreach (var variant in Enum.GetValues<FossilVariant>())
            {
                cases.Add(variant, ScalarType.Float32);
                cases.Add(variant, ScalarType.BFloat16);
            }
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Unmerging_restores_the_base_within_rounding_and_bit_for_bit_where_it_was_kept(FossilVariant variant, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var layer = LifeTests.Adapted(variant, out var adapted);
        using var _ = adapted;
        layer.proj.to(dtype);
        var original = layer.proj.weight.detach().clone();
        var tolerance = dtype == ScalarType.Float32 ? 1e-6 : 1e-2;

        Assert.Equal(["default"], adapted.Merge());
        Assert.False(original.equal(layer.proj.weight).all().item<bool>());
        Assert.Equal(["default"], adapted.Unmerge());
        Assert.True(original.allclose(layer.proj.weight, rtol: 0, atol: tolerance));

        using (var noGrad = no_grad()) layer.proj.weight.copy_(original);
        adapted.Merge(keepBase: true);
        adapted.Unmerge();
        Assert.True(original.equal(layer.proj.weight).all().item<bool>());
    }

    [Fact]
    public void Merging_twice_and_unmerging_what_is_not_merged_do_nothing()
    {
        using var scope = NewDisposeScope();
        using var layer = LifeTests.Adapted(FossilVariant.Balance, out var adapted);
        using var _ = adapted;
        Assert.Empty(adapted.Unmerge());
        adapted.Merge();
        var merged = layer.proj.weight.detach().clone();
        Assert.Empty(adapted.Merge());
        Assert.Equal(["default"], adapted.MergedAdapters);
        Assert.True(merged.equal(layer.proj.weight).all().item<bool>());
        adapted.Unmerge();
        Assert.Empty(adapted.Unmerge());
    }

    [Fact]
    public void A_subset_is_merged_in_order_and_the_rest_stays_active()
    {
        using var scope = NewDisposeScope();
        using var layer = Three(out var adapted);
        using var _ = adapted;
        adapted.SetAdapter("a", "b", "c");
        var x = randn(4, 8);
        var expected = layer.forward(x).detach();

        Assert.Equal(["c", "a"], adapted.Merge(["c", "a"]));
        Assert.True(expected.allclose(layer.forward(x), rtol: 1e-4, atol: 1e-5));
        Assert.Equal(["b"], adapted.Merge());
        Assert.Equal(["c", "a", "b"], adapted.MergedAdapters);
        Assert.True(expected.allclose(layer.Base(x), rtol: 1e-4, atol: 1e-5));
        Assert.Equal(["c", "a", "b"], adapted.Unmerge());
        Assert.True(expected.allclose(layer.forward(x), rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void An_adapter_that_is_not_active_can_be_merged()
    {
        using var scope = NewDisposeScope();
        using var layer = Three(out var adapted);
        using var _ = adapted;
        var x = randn(4, 8);
        adapted.SetAdapter("a", "b");
        var expected = layer.forward(x).detach();
        adapted.SetAdapter("a");
        adapted.Merge(["b"]);
        Assert.True(expected.allclose(layer.forward(x), rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void Bat_is_merged_before_what_only_adds_and_not_onto_it()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4 }, "adds");
        adapted.AddAdapter("bat", new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat });
        adapted.AddAdapter("bat2", new FossilConfig { ShardSize = 2, Variant = FossilVariant.Bat });
        TinyModel.Randomize(adapted);
        adapted.SetAdapter("adds", "bat", "bat2");
        var x = randn(4, 8);
        var expected = layer.forward(x).detach();

        adapted.Merge();
        Assert.True(expected.allclose(layer.Base(x), rtol: 1e-4, atol: 1e-5));
        adapted.Unmerge();
        Assert.True(expected.allclose(layer.forward(x), rtol: 1e-4, atol: 1e-5));

        // What would change the result is refused: Bat acting on a weight that 'adds' is part of, and 'bat' acting after 'bat2'.
        Assert.Contains("'bat'", Assert.Throws<AdapterCombinationException>(() => adapted.Merge(["adds"])).Message);
        Assert.Contains("'bat'", Assert.Throws<AdapterCombinationException>(() => adapted.Merge(["bat2"])).Message);
        Assert.Equal(["bat"], adapted.Merge(["bat"]));
        Assert.True(expected.allclose(layer.forward(x), rtol: 1e-4, atol: 1e-5));
        adapted.Unmerge();

        adapted.SetAdapter("adds");
        adapted.Merge();
        Assert.Contains("'adds', which is merged before it", Assert.Throws<AdapterCombinationException>(() => adapted.Merge(["bat"])).Message);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_safe_merge_finds_what_is_not_finite_before_it_changes_anything(float value)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        using var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        using (var noGrad = no_grad()) adapted.TrainableParameters()[^1].Parameter[0, 0] = value;
        var before = adapted.Targets.Select(target => target.Weight.detach().clone()).ToArray();

        Assert.Contains("No weight was changed", Assert.Throws<NonFiniteWeightException>(() => adapted.Merge(safe: true)).Message);
        Assert.Empty(adapted.MergedAdapters);
        Assert.All(adapted.Targets.Zip(before), pair => Assert.True(pair.Second.equal(pair.First.Weight).all().item<bool>()));
        Assert.Equal(["default"], adapted.Merge());
    }

    [Fact]
    public void While_merged_nothing_trains_and_the_active_adapters_cannot_change()
    {
        using var scope = NewDisposeScope();
        using var layer = Three(out var adapted);
        using var _ = adapted;
        adapted.SetAdapter("a");
        adapted.Merge();
        Assert.Contains("Unmerge()", Assert.Throws<AdapterStateException>(() => adapted.CreateOptimizer()).Message);
        Assert.Empty(adapted.TrainableParameters());
        Assert.False(layer.forward(randn(4, 8)).requires_grad);
        Assert.Throws<AdapterStateException>(() => adapted.SetAdapter("b"));
        Assert.Throws<AdapterStateException>(() => adapted.DeleteAdapter("a"));
        Assert.Throws<AdapterStateException>(() => adapted.UseAdapters(["a"]));
        adapted.AddAdapter("d", new FossilConfig { ShardSize = 2 });
        adapted.DeleteAdapter("b");
        adapted.Unmerge();
        Assert.Single(adapted.TrainableParameters());
    }

    [Fact]
    public void What_is_unmerged_is_what_was_merged_whatever_became_of_the_adapter()
    {
        using var scope = NewDisposeScope();
        using var layer = LifeTests.Adapted(FossilVariant.Balance, out var adapted);
        using var _ = adapted;
        var original = layer.proj.weight.detach().clone();
        adapted.Merge();
        using (var noGrad = no_grad()) layer.get_parameter("proj.miss_block.default")!.mul_(3);
        adapted.Unmerge();
        Assert.True(original.allclose(layer.proj.weight, rtol: 0, atol: 1e-6));
    }

    [Fact]
    public void Disabling_takes_merged_adapters_out_and_puts_them_back()
    {
        using var scope = NewDisposeScope();
        using var layer = LifeTests.Adapted(FossilVariant.Bat, out var adapted);
        using var _ = adapted;
        var x = randn(4, 8);
        var basis = layer.Base(x).detach();
        adapted.Merge();
        var merged = layer.forward(x).detach();
        using (adapted.DisableAdapters())
        {
            Assert.True(basis.allclose(layer.forward(x), rtol: 1e-4, atol: 1e-5));
            Assert.Throws<AdapterStateException>(() => adapted.Merge());
        }
        Assert.Equal(["default"], adapted.MergedAdapters);
        Assert.True(merged.allclose(layer.forward(x), rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void Merging_and_unloading_leaves_an_ordinary_model()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var names = model.named_parameters().Select(entry => entry.name).ToArray();
        var adapted = model.AttachAdapters();
        TinyModel.Randomize(adapted);
        var tokens = TinyModel.Tokens();
        var expected = model.forward(tokens).detach();

        Assert.Same(model, adapted.MergeAndUnload(safe: true));
        Assert.Equal(names, model.named_parameters().Select(entry => entry.name));
        Assert.True(expected.allclose(model.forward(tokens), rtol: 1e-3, atol: 1e-4));
        Assert.Throws<ObjectDisposedException>(() => adapted.Merge());
    }

    /// <summary>A layer with Balance adapters a, b and c of different sizes.</summary>
    internal static OneLinear Three(out AdaptedModel adapted)
    {
        random.manual_seed(2);
        var layer = new OneLinear(8, 12);
        adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4 }, "a");
        adapted.AddAdapter("b", new FossilConfig { ShardSize = 4 });
        adapted.AddAdapter("c", new FossilConfig { ShardSize = 2, Variant = FossilVariant.Mini, MiniSize = 3 });
        TinyModel.Randomize(adapted);
        return layer;
    }
}
