using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Several adapters on one model.</summary>
public class AdapterSetTests
{
    [Fact]
    public void Active_adapters_add_up()
    {
        using var scope = NewDisposeScope();
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        var x = randn(4, 8);
        var basis = layer.Base(x);
        var parts = adapted.AdapterNames.Select(name =>
        {
            adapted.SetAdapter(name);
            return layer.forward(x) - basis;
        }).ToArray();
        adapted.SetAdapter("a", "b", "c");
        Assert.True(layer.forward(x).allclose(basis + parts[0] + parts[1] + parts[2], rtol: 1e-4, atol: 1e-5));
        Assert.Equal(["a", "b", "c"], adapted.ActiveAdapters);
    }

    [Fact]
    public void Bat_adapters_act_one_after_the_other()
    {
        using var scope = NewDisposeScope();
        using var layer = new OneLinear(8, 12, bias: false);
        using var adapted = layer.AttachAdapters(new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat }, "first");
        adapted.AddAdapter("second", new FossilConfig { ShardSize = 2, Variant = FossilVariant.Bat });
        TinyModel.Randomize(adapted, scale: 0.5);
        var x = randn(4, 8);
        adapted.SetAdapter("first", "second");
        var forwards = layer.forward(x).detach();
        adapted.SetAdapter("second", "first");
        var backwards = layer.forward(x).detach();
        Assert.False(forwards.allclose(backwards, rtol: 1e-3, atol: 1e-3));

        adapted.Merge(["second", "first"]);
        Assert.True(backwards.allclose(layer.Base(x), rtol: 1e-4, atol: 1e-5));
    }

    [Fact]
    public void Only_active_adapters_train()
    {
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        Assert.Equal(["proj.miss_block.a"], Names(adapted));
        adapted.SetAdapter("b", "c");
        Assert.Equal(["proj.miss_block.b", "proj.miss_block.c"], Names(adapted));
        adapted.Freeze("b");
        Assert.Equal(["proj.miss_block.c"], Names(adapted));
        adapted.Unfreeze("b");
        Assert.Equal(["proj.miss_block.b", "proj.miss_block.c"], Names(adapted));
    }

    [Fact]
    public void A_deleted_adapter_is_gone_and_the_others_stay_active()
    {
        using var scope = NewDisposeScope();
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        var x = randn(4, 8);
        adapted.SetAdapter("a");
        var expected = layer.forward(x).detach();
        adapted.SetAdapter("b", "a");
        adapted.DeleteAdapter("b");
        Assert.Equal(["a"], adapted.ActiveAdapters);
        Assert.Equal(["a", "c"], adapted.AdapterNames);
        Assert.DoesNotContain(layer.named_parameters(), entry => entry.name.EndsWith(".b", StringComparison.Ordinal));
        Assert.True(expected.equal(layer.forward(x)).all().item<bool>());
        adapted.DeleteAdapter("a");
        Assert.True(layer.Base(x).equal(layer.forward(x)).all().item<bool>());
    }

    [Fact]
    public void Disabled_adapters_leave_the_base_until_the_scope_ends()
    {
        using var scope = NewDisposeScope();
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        var x = randn(4, 8);
        var expected = layer.forward(x).detach();
        using (adapted.DisableAdapters())
        {
            using (adapted.DisableAdapters()) Assert.True(layer.Base(x).equal(layer.forward(x)).all().item<bool>());
            Assert.True(layer.Base(x).equal(layer.forward(x)).all().item<bool>());
        }
        Assert.True(expected.equal(layer.forward(x)).all().item<bool>());
    }

    [Fact]
    public void Names_are_checked()
    {
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        Assert.Contains("a, b, c", Assert.Throws<AdapterNameException>(() => adapted.SetAdapter("z")).Message);
        Assert.Throws<AdapterNameException>(() => adapted.SetAdapter());
        Assert.Throws<AdapterNameException>(() => adapted.SetAdapter("a", "a"));
        Assert.Throws<AdapterNameException>(() => adapted.AddAdapter("a", new FossilConfig { ShardSize = 4 }));
        Assert.Throws<AdapterNameException>(() => adapted.AddAdapter("with.dot", new FossilConfig { ShardSize = 4 }));
        Assert.Throws<AdapterNameException>(() => adapted.AddAdapter(" ", new FossilConfig { ShardSize = 4 }));
        Assert.Throws<AdapterNameException>(() => adapted.DeleteAdapter("z"));
        Assert.Throws<AdapterNameException>(() => adapted.UseAdapters(["a", "z"]));
        Assert.Throws<ShardSizeException>(() => adapted.AddAdapter("d", new FossilConfig { ShardSize = 5 }));
        Assert.Equal(["a", "b", "c"], adapted.AdapterNames);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Each_row_of_a_mixed_batch_uses_its_own_adapter(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        layer.proj.to(dtype);
        string?[] rows = ["a", "a", null, "b", "c", "__base__", "a"];
        var x = randn(rows.Length, 5, 8).to(dtype);
        Tensor mixed;
        using (adapted.UseAdapters(rows)) mixed = layer.forward(x).detach();

        for (var row = 0; row < rows.Length; row++)
        {
            var alone = rows[row] is null or "__base__" ? layer.Base(x[row]) : With(adapted, rows[row]!, () => layer.forward(x[row]));
            Assert.True(alone.allclose(mixed[row], rtol: 0, atol: dtype == ScalarType.Float32 ? 1e-6 : 1e-2), $"row {row}");
        }
    }

    [Fact]
    public void A_mixed_batch_trains_each_adapter_on_its_rows()
    {
        using var scope = NewDisposeScope();
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        adapted.SetAdapter("a", "b");
        var x = randn(4, 5, 8);
        var weights = randn(4, 5, 12);
        using (adapted.UseAdapters(["a", "b", "b", "a"])) (layer.forward(x) * weights).sum().backward();
        var mixed = adapted.TrainableParameters().Select(entry => entry.Parameter.grad!.clone()).ToArray();

        layer.zero_grad();
        foreach (var (name, rows) in new[] { ("a", new[] { 0, 3 }), ("b", [1, 2]) })
        {
            adapted.SetAdapter(name);
            foreach (var row in rows) (layer.forward(x[row]) * weights[row]).sum().backward();
        }

        adapted.SetAdapter("a", "b");
        Assert.All(adapted.TrainableParameters().Zip(mixed), pair => Assert.True(pair.First.Parameter.grad!.allclose(pair.Second, rtol: 1e-4, atol: 1e-4)));
    }

    [Fact]
    public void A_mixed_batch_may_mix_variants_and_must_have_a_name_for_each_row()
    {
        using var scope = NewDisposeScope();
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        adapted.AddAdapter("bat", new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat });
        TinyModel.Randomize(adapted, "bat");
        var x = randn(3, 8);
        using (adapted.UseAdapters(["bat", null, "a"]))
        {
            var mixed = layer.forward(x);
            Assert.True(layer.Base(x)[1].allclose(mixed[1], rtol: 1e-5, atol: 1e-6));
            Assert.Contains("each of 3 rows", Assert.Throws<AdapterInputException>(() => layer.forward(randn(4, 8))).Message);
            Assert.Throws<AdapterStateException>(() => adapted.DisableAdapters());
        }
    }

    [Fact]
    public void A_weighted_sum_of_adapters_does_what_their_weighted_changes_do()
    {
        using var scope = NewDisposeScope();
        using var layer = MergeTests.Three(out var adapted);
        using var _ = adapted;
        var x = randn(4, 8);
        var basis = layer.Base(x);
        var a = With(adapted, "a", () => layer.forward(x)) - basis;
        var b = With(adapted, "b", () => layer.forward(x)) - basis;
        adapted.AddWeightedAdapter(["a", "b"], [0.5, -2], "sum");
        Assert.True(With(adapted, "sum", () => layer.forward(x)).allclose(basis + (0.5 * a) - (2 * b), rtol: 1e-4, atol: 1e-5));
        Assert.Throws<AdapterCombinationException>(() => adapted.AddWeightedAdapter(["a", "c"], [1, 1], "other"));
        Assert.Throws<AdapterCombinationException>(() => adapted.AddWeightedAdapter(["a"], [1, 1], "other"));
        Assert.Equal(["a", "b", "c", "sum"], adapted.AdapterNames);
    }

    private static IEnumerable<string> Names(AdaptedModel adapted) => adapted.TrainableParameters().Select(entry => entry.Name);

    private static Tensor With(AdaptedModel adapted, string adapter, Func<Tensor> run)
    {
        adapted.SetAdapter(adapter);
        return run().detach();
    }
}
