using Fossil.Models.Tests.Training;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Families;

/// <summary>What every family does: bfloat16, packed sequences, recomputed activations, and parameters in Hugging Face's order.</summary>
public sealed class FamilyTrainingTests
{
    public static TheoryData<string> Names => FamilyModels.Names;

    public static TheoryData<string> Continuous => FamilyModels.Continuous;

    public static TheoryData<string> OfEachClass => FamilyModels.OfEachClass;

    [Theory, MemberData(nameof(Continuous))]
    public void In_bfloat16_logits_are_near_and_cached_text_is_that_of_the_whole_pass(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var exact = FamilyModels.Create(name);
        exact.SavePretrained(folder.Path);
        using var model = AutoModelForCausalLM.FromPretrained(folder.Path, bfloat16);
        var ids = arange(3, 27, dtype: int64).unsqueeze(0);
        var logits = model.forward(ids);

        Assert.Equal(bfloat16, logits.dtype);
        Assert.InRange(Distance.Relative(logits, exact.forward(ids)), 1e-5, 0.1);
        using var cache = new KeyValueCache(model.CommonConfig.NumHiddenLayers);
        var last = model.forward(ids.narrow(1, 0, 20), null, cache);
        for (var i = 20; i < 24; i++) last = model.forward(ids.narrow(1, i, 1), null, cache);
        Assert.InRange(Distance.Relative(last[0], logits[0].narrow(0, 23, 1)), 0, 0.1);
    }

    [Theory, MemberData(nameof(Names))]
    public void The_loss_is_the_cross_entropy_of_the_models_own_logits(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using (var exact = FamilyModels.Create(name)) exact.SavePretrained(folder.Path);
        var ids = arange(3, 27, dtype: int64).unsqueeze(0);
        foreach (var (dtype, tolerance) in ((ScalarType, double)[])[(float32, 1e-5), (bfloat16, 5e-3)])
        {
            using var model = AutoModelForCausalLM.FromPretrained(folder.Path, dtype);
            var logits = model.forward(ids).narrow(1, 0, 23).to(float32);
            var expected = nn.functional.cross_entropy(logits.view(23, -1), ids.narrow(1, 1, 23).view(-1)).item<float>();

            Assert.Equal(expected, model.loss(ids, ids).item<float>(), tolerance * expected);
        }
    }

    [Theory, MemberData(nameof(OfEachClass))]
    public void Packed_examples_are_trained_on_as_if_each_were_alone(string name)
    {
        using var scope = NewDisposeScope();
        using var model = FamilyModels.Create(name);
        using var adapted = model.AttachAdapters(new FossilConfig { TargetModules = ModuleSelector.AllLinear, ShardSize = 8 });

        PackedExamplesTests.AssertAlone(model, adapted, checkpointing: false);
    }

    [Theory, MemberData(nameof(OfEachClass))]
    public void Recomputed_activations_give_the_same_gradients(string name)
    {
        using var scope = NewDisposeScope();
        using var model = FamilyModels.Create(name);
        using var adapted = model.AttachAdapters(new FossilConfig { TargetModules = ModuleSelector.AllLinear, ShardSize = 8 });
        FamilyModels.Fill(adapted.TrainableParameters().Select(named => named.Parameter), 0.05);

        DecoderTrainingTests.AssertRecomputingChangesNoGradient(model, adapted, adapted.TrainableParameters().Count);
    }

    [Theory, MemberData(nameof(OfEachClass))]
    public void Parameters_are_in_the_order_of_the_forward_pass(string name)
    {
        using var model = FamilyModels.Create(name);
        var names = model.named_parameters().Select(parameter => parameter.name).ToList();
        Assert.Equal(["model", "lm_head"], model.named_children().Select(child => child.name));
        Assert.Equal(names.Count, names.Distinct().Count());
        Assert.Equal("model.embed_tokens.weight", names[0]);
        Assert.Equal(model.CommonConfig.TieWordEmbeddings ? "model.norm.weight" : "lm_head.weight", names[^1]);
        var layers = names.Where(parameter => parameter.StartsWith("model.layers.")).Select(parameter => int.Parse(parameter.Split('.')[2])).ToList();
        Assert.Equal(layers.Order(), layers);
        foreach (var layer in layers.Distinct())
        {
            var parts = names.Where(parameter => parameter.StartsWith($"model.layers.{layer}.")).Select(parameter => parameter.Split('.')[3]).Distinct().ToList();
            Assert.InRange(parts.IndexOf("self_attn"), 0, parts.IndexOf("mlp") - 1);
        }
    }
}
