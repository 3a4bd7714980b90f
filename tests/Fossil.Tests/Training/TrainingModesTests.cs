using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

/// <summary>What a run or an evaluation finds, it leaves: modes of every module, random numbers.</summary>
public sealed class TrainingModesTests
{
    private static readonly TrainingArguments Arguments = new() { MaxSteps = 3, BatchSize = 4, LearningRate = 0.01 };

    public static TheoryData<string> Endings => ["completed", "cancelled", "loss throws", "loss is NaN", "callback throws", "data throw", "evaluation throws"];

    [Theory, MemberData(nameof(Endings))]
    public void However_a_run_ends_every_module_is_in_the_mode_that_it_was_found_in(string ending)
    {
        foreach (var modes in new[] { (true, true, true), (false, false, false), (false, true, false), (true, false, true), (true, true, false) })
        {
            using var model = new TinyLanguageModel();
            var parts = Parts(model);
            Set(model, parts, modes);
            using var cancellation = new CancellationTokenSource();
            var calls = 0;
            Tensor Loss(TokenBatch batch)
            {
                Assert.True(ending == "evaluation throws" && calls == 3 ? !parts.Dropout.training : parts.Dropout.training);
                calls++;
                if (ending == "loss throws" && calls == 2) throw new InvalidOperationException(ending);
                if (ending == "evaluation throws" && calls == 4) throw new InvalidOperationException(ending);
                if (ending == "loss is NaN" && calls == 2) return model.Loss(batch) * double.NaN;
                if (ending == "cancelled") cancellation.Cancel();
                return model.Loss(batch);
            }

            var data = TinyLanguageModel.Data(tokens: 400);
            var trainer = new Trainer<TokenBatch>(
                new TrainableModule(model), Loss, Arguments, ending == "data throw" ? new Throwing(data, at: 2) : data, ending == "evaluation throws" ? data : null,
                [new Callback(() => { if (ending == "callback throws") throw new InvalidOperationException(ending); })]);
            var exception = Record.Exception(() => trainer.Train(cancellation: cancellation.Token));
            Assert.Equal(ending is "completed" or "cancelled", exception is null);
            Assert.Equal(modes, (model.training, parts.Up.training, parts.Dropout.training));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_evaluation_leaves_every_module_as_it_was(bool throws)
    {
        using var model = new TinyLanguageModel();
        var parts = Parts(model);
        Set(model, parts, (false, true, true));
        var data = TinyLanguageModel.Data(tokens: 200);
        var trainer = new Trainer<TokenBatch>(new TrainableModule(model), batch =>
        {
            Assert.False(model.training || parts.Up.training || parts.Dropout.training);
            return throws ? throw new InvalidOperationException("loss") : model.Loss(batch);
        }, Arguments, data, data);
        if (throws) Assert.Throws<InvalidOperationException>(() => trainer.Evaluate());
        else trainer.Evaluate();
        Assert.Equal((false, true, true), (model.training, parts.Up.training, parts.Dropout.training));
    }

    [Fact]
    public void A_module_with_two_parents_in_other_modes_gets_its_own_back()
    {
        var shared = nn.Dropout(0.5);
        var (first, between) = (nn.Sequential(("shared", shared)), nn.Sequential(("shared", shared)));
        var second = nn.Sequential(("between", between));
        using var root = nn.Sequential(("first", first), ("second", second));
        root.train();
        second.eval();
        shared.train();
        using (TrainingModes.Evaluate(root)) Assert.False(root.training || first.training || shared.training);
        Assert.Equal((true, true, false, false, true), (root.training, first.training, second.training, between.training, shared.training));
    }

    [Fact]
    public void A_run_leaves_the_random_numbers_where_they_were()
    {
        using var model = new TinyLanguageModel();
        manual_seed(17);
        using var expected = rand(3);
        manual_seed(17);
        new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, Arguments, TinyLanguageModel.Data(tokens: 400)).Train();
        using var actual = rand(3);
        Assert.Equal(expected.data<float>().ToArray(), actual.data<float>().ToArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Recomputing_a_segment_leaves_the_random_numbers_where_they_were(bool throws)
    {
        using var scope = NewDisposeScope();
        var layer = nn.Linear(3, 3);
        var runs = 0;
        manual_seed(17);
        var output = ActivationCheckpoint.Run((input, _) => runs++ == 1 && throws ? throw new InvalidOperationException("second run") : nn.functional.dropout(layer.forward(input), 0.5, training: true), ones(2, 3));
        var state = random.get_rng_state();
        output.sum().backward();
        Assert.True(random.get_rng_state().equal(state).all().item<bool>());
        if (throws) Assert.Throws<AdapterBackwardException>(() => ActivationCheckpoint.Run((input, _) => layer.forward(input), ones(2, 3)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Batches_that_were_made_are_disposed_where_a_later_one_cannot_be(int at)
    {
        using var model = new TinyLanguageModel();
        var data = new Throwing(TinyLanguageModel.Data(tokens: 400), at);
        var trainer = new Trainer<TokenBatch>(new TrainableModule(model), model.Loss, Arguments with { GradientAccumulationSteps = 4 }, data);
        Assert.Equal("data", Assert.Throws<InvalidOperationException>(() => trainer.Train()).Message);
        Assert.Equal(at - 1, data.Batches.Count);
        Assert.All(data.Batches, batch => Assert.True(batch.InputIds.IsInvalid && batch.Targets.IsInvalid && batch.LossPositions.IsInvalid));
    }

    private static (Linear Up, Dropout Dropout) Parts(TinyLanguageModel model) => (model.modules().OfType<Linear>().First(), model.modules().OfType<Dropout>().Single());

    private static void Set(TinyLanguageModel model, (Linear Up, Dropout Dropout) parts, (bool Root, bool Up, bool Dropout) modes)
    {
        model.train(modes.Root);
        parts.Up.train(modes.Up);
        parts.Dropout.train(modes.Dropout);
    }

    private sealed class Callback(Action onStep) : TrainerCallback
    {
        public override bool OnStepEnd(TrainerState state)
        {
            onStep();
            return true;
        }
    }

    /// <summary>Data of which a later batch cannot be made.</summary>
    private sealed class Throwing(TokenData data, int at) : ITrainingData<TokenBatch>
    {
        public List<TokenBatch> Batches { get; } = [];

        public int Count => data.Count;

        public string Description => data.Description;

        public string Fingerprint => data.Fingerprint;

        public TokenBatch GetBatch(IReadOnlyList<int> indices)
        {
            if (Batches.Count + 1 == at) throw new InvalidOperationException("data");
            Batches.Add(data.GetBatch(indices));
            return Batches[^1];
        }
    }
}
