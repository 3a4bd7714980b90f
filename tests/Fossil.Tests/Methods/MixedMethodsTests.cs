using CsCheck;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>Adapters of all methods on one layer, in any order: whatever is merged or mixed computes what the forward pass does.</summary>
public class MixedMethodsTests
{
    private static readonly (string Name, AdapterConfig Config)[] Adapters =
    [
        ("balance", new FossilConfig { ShardSize = 4, TargetModules = ["a", "b"] }),
        ("bat", new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat, TargetModules = ["a", "b"] }),
        ("lora", new LoraConfig { Rank = 2, TargetModules = ["a", "b"] }),
        ("vera", new VeraConfig { Rank = 4, TargetModules = ["a", "b"] }),
        ("vera2", new VeraConfig { Rank = 4, TargetModules = ["b"] }),
        ("ia3", new IA3Config { TargetModules = ["a", "b"], FeedforwardModules = ["b"] }),
        ("ia3out", new IA3Config { TargetModules = ["a", "b"], FeedforwardModules = [] }),
    ];

    [Fact]
    public void Merged_and_mixed_compute_the_same() => Gen.Select(Gen.Shuffle(Adapters.Select(adapter => adapter.Name).ToArray()), Gen.Int[1, Adapters.Length], Gen.Int[0, Adapters.Length]).SampleSeeded(
        choice =>
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using var model = new TwoLinears();
            using var adapted = model.AttachAdapters(Adapters[0].Config, Adapters[0].Name);
            foreach (var (name, config) in Adapters.Skip(1)) adapted.AddAdapter(name, config);
            TwoLinears.Train(adapted);
            foreach (var layer in adapted.Targets.SelectMany(target => target.Layers).Where(layer => layer.AdapterName == "bat")) layer.Parameters().Single().Parameter.mul_(0.1);
            var x = TwoLinears.Input(Adapters.Length);
            string[] active = [.. choice.Item1.Take(choice.Item2)];
            adapted.SetAdapter(active);
            var (expected, basis) = (model.forward(x), model.a.weight.clone());

            // Some first, then the rest, where that is the same function.
            try
            {
                adapted.Merge([.. active.Take(choice.Item3)]);
            }
            catch (AdapterCombinationException)
            {
                Assert.Empty(adapted.MergedAdapters);
            }

            AssertClose(expected, model.forward(x));
            try
            {
                adapted.Merge();
            }
            catch (AdapterCombinationException)
            {
                Assert.NotEqual(active.Length, adapted.MergedAdapters.Count);
            }

            AssertClose(expected, model.forward(x));
            adapted.Unmerge();
            Assert.True(model.a.weight.equal(basis).all().item<bool>());
            AssertClose(expected, model.forward(x));

            var rows = choice.Item1.Select((name, i) => i % 3 == 2 ? null : name).ToArray();
            var each = rows.Select((name, row) =>
            {
                if (name is not null) adapted.SetAdapter(name);
                using var off = name is null ? adapted.DisableAdapters() : null;
                return model.forward(x.narrow(0, row, 1));
            }).ToArray();
            using var mixed = adapted.UseAdapters(rows);
            AssertClose(cat(each, 0), model.forward(x));
        },
        count: 60);

    private static void AssertClose(Tensor expected, Tensor actual) => Assert.InRange(Distance.Relative(actual, expected), 0, 1e-5);
}
