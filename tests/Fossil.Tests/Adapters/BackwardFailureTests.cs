using Fossil.TestData;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>A backward pass that cannot be made: nothing is thrown there, nothing wrong reaches a parameter or a file, and the model says so the next time that it is trained or saved.</summary>
public sealed class BackwardFailureTests
{
    /// <summary>Methods that need their input for the backward pass.</summary>
    public static TheoryData<string> Methods => ["lora", "dora", "bat", "pissa"];

    [Theory, MemberData(nameof(Methods))]
    public void An_input_changed_in_place_stops_the_step_and_changes_no_parameter(string method)
    {
        using var scope = NewDisposeScope();
        using var chain = new Chain(method);
        using var optimizer = chain.Adapted.CreateOptimizer();
        var before = chain.Values();
        chain.Fail();
        Assert.Contains("inplace", Assert.Throws<AdapterBackwardException>(() => optimizer.step()).Message);
        Assert.Equal(before, chain.Values());

        // The step is dropped; the next one is as any other.
        optimizer.zero_grad();
        chain.Loss().backward();
        optimizer.step();
        Assert.NotEqual(before, chain.Values());
        Assert.All(chain.Values(), value => Assert.True(float.IsFinite(value)));
    }

    [Theory, MemberData(nameof(Methods))]
    public void Nothing_is_saved_after_it(string method)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var chain = new Chain(method);
        chain.Fail();
        Assert.Throws<AdapterBackwardException>(() => chain.Adapted.SavePretrained(folder["adapter"]));
        Assert.Throws<AdapterBackwardException>(() => chain.Adapted.SavePretrained(folder["adapter"]));
        Assert.Throws<AdapterBackwardException>(() => new TrainableAdapter(chain.Adapted).Save(folder["checkpoint"]));
        Assert.Throws<AdapterBackwardException>(() => new TrainableModule(chain).Save(folder["checkpoint"]));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));

        Assert.Throws<AdapterBackwardException>(() => chain.Loss());
        chain.Loss().backward();
        chain.Adapted.SavePretrained(folder["adapter"]);
    }

    [Theory, MemberData(nameof(Methods))]
    public void An_optimizer_that_knows_nothing_of_it_gets_no_NaN(string method)
    {
        using var scope = NewDisposeScope();
        using var chain = new Chain(method, biases: true);
        using var optimizer = optim.AdamW(chain.parameters().Where(parameter => parameter.requires_grad), 1e-2);
        chain.Fail();
        optimizer.step();
        Assert.All(chain.Values(), value => Assert.True(float.IsFinite(value)));
        Assert.Throws<AdapterBackwardException>(() => chain.Loss());
    }

    [Fact]
    public void Another_model_does_not_hear_of_it()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var failed = new Chain("lora");
        using var other = new Chain("lora");
        using var optimizer = other.Adapted.CreateOptimizer();
        failed.Fail();
        other.Loss().backward();
        optimizer.step();
        other.Adapted.SavePretrained(folder["adapter"]);
        Assert.Throws<AdapterBackwardException>(() => failed.Loss());
    }

    [Fact]
    public void What_computes_no_gradient_neither_throws_it_nor_forgets_it()
    {
        using var scope = NewDisposeScope();
        using var chain = new Chain("dora");
        using var optimizer = chain.Adapted.CreateOptimizer();
        chain.Fail();
        using (no_grad()) chain.Loss();
        Assert.Throws<AdapterBackwardException>(() => optimizer.step());
    }

    [Fact]
    public void A_trainer_stops_before_the_step_whatever_it_does_with_NaN()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var chain = new Chain("lora");
        var before = chain.Values();
        var arguments = new TrainingArguments { MaxSteps = 2, BatchSize = 1, OnNonFiniteLoss = NonFiniteLossAction.Skip, OutputDirectory = folder.Path };
        var trainer = new Trainer<TokenBatch>(chain.Adapted, _ => chain.Loss(change: true), arguments, TokenData.FromWindows([1, 2, 3, 4], 2, "numbers"));
        Assert.Throws<AdapterBackwardException>(() => trainer.Train());
        Assert.Equal(before, chain.Values());
        Assert.Empty(Directory.GetDirectories(folder.Path));
    }

    [Fact]
    public void A_segment_that_fails_when_it_is_recomputed_belongs_to_the_model_of_its_adapted_layers()
    {
        using var scope = NewDisposeScope();
        using var failed = new Chain("lora");
        using var other = new Chain("lora");
        using var optimizer = failed.Adapted.CreateOptimizer();
        var runs = 0;
        ActivationCheckpoint.Run((x, _) => runs++ == 0 ? failed.first.forward(x) : throw new InvalidOperationException("second run"), ones(2, 8)).sum().backward();
        other.Loss().backward();
        ActivationCheckpoint.Run((x, _) => other.first.forward(x), ones(2, 8)).sum().backward();
        Assert.Contains("second run", Assert.Throws<AdapterBackwardException>(() => optimizer.step()).Message);
    }

    /// <summary>Two adapted layers, one behind the other.</summary>
    private sealed class Chain : nn.Module
    {
        public readonly OneLinear first = new(8, 8);
        public readonly OneLinear second = new(8, 8);

        public Chain(string method, bool biases = false)
            : base(nameof(Chain))
        {
            RegisterComponents();
            random.manual_seed(3);
            var bias = biases ? AdapterBias.All : AdapterBias.None;
            Adapted = this.AttachAdapters(method switch
            {
                "bat" => new FossilConfig { ShardSize = 4, Variant = FossilVariant.Bat, Bias = bias },
                "pissa" => new LoraConfig { Rank = 2, InitLoraWeights = LoraInitialization.Pissa, Bias = bias },
                _ => new LoraConfig { Rank = 2, UseDora = method == "dora", Bias = bias },
            });
            TinyModel.Randomize(Adapted);
        }

        public AdaptedModel Adapted { get; }

        /// <summary>A scalar; with <paramref name="change"/> the second layer's input is changed in place afterwards.</summary>
        public Tensor Loss(bool change = false)
        {
            var hidden = first.forward(randn(3, 8)) * 2;
            var loss = second.forward(hidden).square().sum();
            if (change) using (no_grad()) hidden.add_(1);
            return loss;
        }

        public void Fail() => Loss(change: true).backward();

        public float[] Values() => [.. parameters().SelectMany(parameter => parameter.detach().flatten().data<float>().ToArray())];

        protected override void Dispose(bool disposing)
        {
            if (disposing) Adapted.Dispose();
            base.Dispose(disposing);
        }
    }
}
