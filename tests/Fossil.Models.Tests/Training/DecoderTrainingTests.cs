using Fossil.Concurrency;
using Fossil.Models.Tests.Decoder;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Training;

public sealed class DecoderTrainingTests
{
    private static TokenData Data => TokenData.FromExamples(
        Enumerable.Range(0, 8).Select(i => new TokenExample(
            Enumerable.Range(0, 9 + i).Select(j => 3 + (i * 31 + j * 17) % 90).ToArray(), Enumerable.Range(0, 9 + i).Select(j => j > 4).ToArray())),
        maxLength: 32, paddingId: 0, "examples");

    [Fact]
    public void LossOfABatchIsTheLossOfItsLabels()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create();
        using var batch = Data.GetBatch([2, 7, 4]);
        var labels = full_like(batch.InputIds, TokenBatch.IgnoredLabel);
        var positions = batch.LossPositions.data<long>().ToArray();
        var targets = batch.Targets.data<long>().ToArray();
        var width = batch.InputIds.shape[1];
        for (var i = 0; i < positions.Length; i++) labels[positions[i] / width, positions[i] % width + 1] = targets[i];

        Assert.Equal(model.loss(batch.InputIds, labels).item<float>(), model.loss(batch).item<float>(), 1e-5f);
        Assert.Equal(model.loss(batch).item<float>(), batch.Loss(model.forward(batch.InputIds)).item<float>(), 1e-5f);
    }

    [Theory]
    [InlineData(ScalarType.Float32, null)]
    [InlineData(ScalarType.BFloat16, null)]
    [InlineData(ScalarType.Float32, 4)]
    public void RecomputedActivationsGiveTheSameGradients(ScalarType dtype, int? window)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Create(TinyModels.Config with { SlidingWindow = window }, dtype: dtype);
        using var adapted = model.AttachAdapters(new FossilConfig { TargetModules = ModuleSelector.AllLinear, ShardSize = 16 });

        AssertRecomputingChangesNoGradient(model, adapted, expected: 14);
    }

    public static TheoryData<string, int> Methods => new() { { nameof(VeraConfig), 28 }, { nameof(IA3Config), 6 }, { nameof(LoraConfig), 28 } };

    [Theory, MemberData(nameof(Methods))]
    public void Recomputed_activations_give_the_same_gradients_of_other_methods(string method, int expected)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Create();
        using var adapted = model.AttachAdapters(method switch
        {
            nameof(VeraConfig) => new VeraConfig { Rank = 8, TargetModules = ModuleSelector.AllLinear },
            nameof(IA3Config) => new IA3Config { TargetModules = ["k_proj", "v_proj", "down_proj"], FeedforwardModules = ["down_proj"] },
            _ => new LoraConfig { Rank = 4, Dropout = 0, TargetModules = ModuleSelector.AllLinear },
        });
        using (no_grad()) foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.add_(randn_like(parameter).div(Scalars.Of(20)));

        AssertRecomputingChangesNoGradient(model, adapted, expected);
    }

    internal static void AssertRecomputingChangesNoGradient(CausalLM model, AdaptedModel adapted, int expected)
    {
        using var batch = Data.GetBatch([0, 3, 5]);
        model.train();
        var gradients = new[] { false, true }.Select(recompute =>
        {
            foreach (var part in model.modules().OfType<ISupportsGradientCheckpointing>()) part.GradientCheckpointing = recompute;
            model.loss(batch).backward();
            return adapted.TrainableParameters().Select(named =>
            {
                var gradient = named.Parameter.grad!.clone();
                named.Parameter.grad = null;
                return (named.Name, gradient);
            }).ToList();
        }).ToList();

        Assert.Equal(expected, gradients[0].Count);
        Assert.All(gradients[0].Zip(gradients[1]), pair => Assert.True(pair.First.gradient.equal(pair.Second.gradient).all().item<bool>(), pair.First.Name));
        Assert.Contains(gradients[0], entry => entry.gradient.abs().max().item<float>() > 0);
    }

    [Fact]
    public void TheOptionOfTheTrainerReachesTheLayersAndChangesNoBit()
    {
        using var scope = NewDisposeScope();
        var runs = new[] { false, true }.Select(recompute =>
        {
            var model = TinyModels.Create();
            var adapted = model.AttachAdapters(new FossilConfig { TargetModules = ModuleSelector.AllLinear, ShardSize = 16 });
            var arguments = new TrainingArguments { LearningRate = 1e-2, MaxSteps = 4, BatchSize = 3, LoggingSteps = 1, GradientCheckpointing = recompute };
            var state = new Trainer<TokenBatch>(adapted, model.loss, arguments, Data).Train().State;
            Assert.Equal(recompute, Assert.Single(model.modules().OfType<ISupportsGradientCheckpointing>()).GradientCheckpointing);
            return (Losses: state.Logs.Select(log => log.Loss).ToArray(), Parameters: adapted.TrainableParameters());
        }).ToList();

        Assert.Equal(4, runs[0].Losses.Length);
        Assert.Equal(runs[0].Losses, runs[1].Losses);
        Assert.All(runs[0].Parameters.Zip(runs[1].Parameters), pair => Assert.True(pair.First.Parameter.equal(pair.Second.Parameter).all().item<bool>(), pair.First.Name));
    }
}
