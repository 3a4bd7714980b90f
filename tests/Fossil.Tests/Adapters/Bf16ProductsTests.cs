using Fossil.CompilerServices;
using Fossil.TestData;
using Fossil.Tests.Training;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>The switch for bfloat16 products: what it covers, what it leaves as it was, and that recomputed, resumed and mixed passes agree with it.</summary>
public class Bf16ProductsTests
{
    public static TheoryData<string> Configs => [.. Named.Keys];

    private static readonly Dictionary<string, AdapterConfig> Named = new()
    {
        ["balance"] = new FossilConfig { ShardSize = 8 },
        ["mini"] = new FossilConfig { ShardSize = 8, Variant = FossilVariant.Mini, MiniSize = 6 },
        ["bat"] = new FossilConfig { ShardSize = 8, Variant = FossilVariant.Bat },
        ["padded"] = new FossilConfig { ShardSize = 7, AllowPadding = true },
        ["dropout"] = new FossilConfig { ShardSize = 8, Dropout = 0.3 },
        ["lora"] = new LoraConfig { Rank = 4 },
        ["rslora"] = new LoraConfig { Rank = 3, UseRslora = true },
        ["lora dropout"] = new LoraConfig { Rank = 4, Dropout = 0.3 },
        ["dora"] = new LoraConfig { Rank = 4, UseDora = true },
        ["dora dropout"] = new LoraConfig { Rank = 4, UseDora = true, Dropout = 0.3 },
        ["pissa"] = new LoraConfig { Rank = 4, InitLoraWeights = LoraInitialization.Pissa },
        ["vera"] = new VeraConfig { Rank = 4 },
        ["ia3"] = new IA3Config { FeedforwardModules = Array.Empty<string>() },
        ["ia3 feedforward"] = new IA3Config { FeedforwardModules = new[] { "proj" } },
    };

    [Theory]
    [MemberData(nameof(Configs))]
    public void Rounds_every_method_and_the_base_of_a_float32_model_and_nothing_when_it_is_off_again(string name)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var model = new OneLinear(32, 24);
        using var adapted = Attach(model, name);
        var x = randn(5, 3, 32);
        var exact = Step(model, adapted, x);
        adapted.Bf16Products = true;
        var rounded = Step(model, adapted, x);
        AssertRounded(rounded);
        foreach (var parameter in rounded.Skip(2)) Assert.Equal(ScalarType.Float32, parameter.dtype);
        Assert.Equal(ScalarType.Float32, rounded[1].dtype);

        // A bfloat16 x is taken as it is.
        var narrow = Step(model, adapted, x.to(ScalarType.BFloat16));
        Assert.Equal([ScalarType.BFloat16, ScalarType.BFloat16], narrow.Take(2).Select(tensor => tensor.dtype));
        AssertRounded(narrow);

        adapted.Bf16Products = false;
        foreach (var (tensor, reference) in Step(model, adapted, x).Zip(exact)) AssertSame(reference, tensor);

        // Gradients of parameters may come out exact: dy has values of bfloat16 here.
        void AssertRounded(Tensor[] results)
        {
            foreach (var (i, (tensor, reference)) in results.Zip(exact).Index()) Assert.InRange(Distance.Relative(tensor, reference), i < 2 ? 1e-6 : 0, 3e-2);
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Leaves_float64_alone(string name)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var model = new OneLinear(32, 24, dtype: ScalarType.Float64);
        using var adapted = Attach(model, name);
        var x = randn(5, 32, dtype: ScalarType.Float64);
        var exact = Step(model, adapted, x);
        adapted.Bf16Products = true;
        foreach (var (tensor, reference) in Step(model, adapted, x).Zip(exact)) AssertSame(reference, tensor);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Trains_a_base_that_is_not_frozen(string name)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var model = new OneLinear(32, 24);
        using var adapted = Attach(model, name);
        model.proj.weight.requires_grad_(true);
        model.proj.bias!.requires_grad_(true);
        var x = randn(5, 32);
        var exact = Step(model, adapted, x);
        var (weight, bias) = (model.proj.weight.grad!.clone(), model.proj.bias!.grad!.clone());
        model.proj.weight.grad = model.proj.bias.grad = null;
        adapted.Bf16Products = true;
        foreach (var (tensor, reference) in Step(model, adapted, x).Zip(exact)) Assert.InRange(Distance.Relative(tensor, reference), 0, 3e-2);
        Assert.InRange(Distance.Relative(model.proj.weight.grad!, weight), 1e-6, 3e-2);
        Assert.InRange(Distance.Relative(model.proj.bias.grad!, bias), 0, 3e-2);
    }

    [Fact]
    public void Merged_disabled_and_missing_adapters_leave_the_bases_product_rounded()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TwoProjections();
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 2, TargetModules = ["first"] });
        var x = randn(4, 16);
        adapted.Bf16Products = true;
        var expected = nn.functional.linear(x.to(ScalarType.BFloat16), model.second.weight.to(ScalarType.BFloat16));
        AssertSame(expected, AdapterDispatch.Forward(model.second, x));
        AssertSame(expected, AdapterDispatch.Call(model.second, x));
        AssertSame(expected, nn.Sequential(model.second).call(x));

        var first = nn.functional.linear(x.to(ScalarType.BFloat16), model.first.weight.to(ScalarType.BFloat16));
        using (adapted.DisableAdapters()) AssertSame(first, AdapterDispatch.Forward(model.first, x));
        adapted.Merge();
        AssertSame(first, AdapterDispatch.Forward(model.first, x));
        adapted.Unmerge();

        adapted.Bf16Products = false;
        AssertSame(model.second.forward(x), AdapterDispatch.Forward(model.second, x));
        adapted.Bf16Products = true;
        adapted.Dispose();
        AssertSame(nn.functional.linear(x, model.second.weight), AdapterDispatch.Forward(model.second, x));
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Rows_of_a_mixed_batch_are_those_of_their_adapters(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        manual_seed(1);
        using var model = new OneLinear(32, 24, dtype: ScalarType.BFloat16);
        using var adapted = Attach(model, name);
        model.eval();
        adapted.AddAdapter("other", Named[name] with { TargetModules = ["proj"] });
        Randomise(adapted);
        adapted.Bf16Products = true;
        string?[] rows = ["other", null, "default"];
        var x = randn(3, 7, 32).to(ScalarType.BFloat16);
        var expected = rows.Select((row, i) =>
        {
            using var disabled = row is null ? adapted.DisableAdapters() : null;
            if (row is not null) adapted.SetAdapter(row);
            return model.forward(x.narrow(0, i, 1));
        }).ToArray();
        using (adapted.UseAdapters(rows)) Assert.InRange(Distance.Relative(model.forward(x), cat(expected, 0)), 0, 8e-3);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void What_is_recomputed_is_the_same_to_the_bit(string name)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        using var model = new OneLinear(32, 24, dtype: ScalarType.BFloat16);
        using var adapted = Attach(model, name);
        adapted.Bf16Products = true;
        var x = randn(5, 32).to(ScalarType.BFloat16);
        var kept = Step(model.forward, adapted, x);
        var recomputed = Step(input => ActivationCheckpoint.Run((segment, _) => model.forward(segment), input), adapted, x);
        foreach (var (tensor, reference) in recomputed.Zip(kept)) AssertSame(reference, tensor);
    }

    [Fact]
    public void Is_switched_on_by_the_trainer_for_its_run_and_for_evaluation()
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(32, 24, dtype: ScalarType.BFloat16);
        using var adapted = Attach(model, "balance");
        var seen = new List<bool>();
        Tensor Loss(TokenBatch batch)
        {
            seen.Add(adapted.Bf16Products);
            return model.forward(ones(1, 32).to(ScalarType.BFloat16)).sum().to(ScalarType.Float32);
        }

        var data = TokenData.FromWindows([1, 2, 3, 4], 4, "numbers");
        var trainer = new Trainer<TokenBatch>(adapted, Loss, new TrainingArguments { MaxSteps = 1, BatchSize = 1, Bf16 = true }, data, data);
        trainer.Train();
        trainer.Evaluate();
        Assert.Equal([true, true, true], seen);
        Assert.False(adapted.Bf16Products);

        // Left alone where the options say nothing.
        adapted.Bf16Products = true;
        new Trainer<TokenBatch>(adapted, Loss, new TrainingArguments { MaxSteps = 1, BatchSize = 1 }, data).Train();
        Assert.True(seen[^1] && adapted.Bf16Products);

        model.proj.weight.requires_grad_(true);
        var alone = new Trainer<TokenBatch>(new TrainableModule(model), Loss, new TrainingArguments { MaxSteps = 1, BatchSize = 1, Bf16 = true }, data);
        Assert.Contains(nameof(TrainingArguments.Bf16), Assert.Throws<TrainingArgumentException>(() => alone.Train()).Message);
    }

    [Fact]
    public void A_resumed_run_ends_in_the_bits_of_one_that_was_never_interrupted()
    {
        using var folder = new TemporaryFolder();
        var whole = Run("whole", stopAfter: null);
        Run("parts", stopAfter: 3);
        Assert.Equal(whole, Run("parts", stopAfter: null));

        float[] Run(string name, int? stopAfter)
        {
            using var scope = NewDisposeScope();
            using var model = new TinyLanguageModel();
            using var adapted = model.AttachAdapters();
            var arguments = new TrainingArguments { OutputDirectory = folder[name], MaxSteps = 7, LearningRate = 1e-2, BatchSize = 4, Bf16 = true };
            new Trainer<TokenBatch>(adapted, model.Loss, arguments, TinyLanguageModel.Data(), callbacks: [new StopAfter(stopAfter)]).Train(resume: true);
            return [.. adapted.TrainableParameters().SelectMany(named => named.Parameter.detach().flatten().data<float>().ToArray())];
        }
    }

    private static AdaptedModel Attach(OneLinear model, string name)
    {
        var adapted = model.AttachAdapters(Named[name] with { TargetModules = ["proj"] });
        Randomise(adapted);
        return adapted;
    }

    private static void Randomise(AdaptedModel adapted)
    {
        using var noGrad = no_grad();
        foreach (var parameter in adapted.Targets.SelectMany(target => target.Layers).SelectMany(layer => layer.Parameters()).Select(entry => entry.Parameter)) parameter.add_(randn_like(parameter) * 0.05);
    }

    private static Tensor[] Step(OneLinear model, AdaptedModel adapted, Tensor x) => Step(model.forward, adapted, x);

    /// <summary>The output, the gradient of x, and those of the parameters; dropout is the same at each call.</summary>
    private static Tensor[] Step(Func<Tensor, Tensor> forward, AdaptedModel adapted, Tensor x)
    {
        manual_seed(7);
        var leaf = x.detach().requires_grad_(true);
        var y = forward(leaf);
        y.backward([linspace(-1, 1, y.numel()).view(y.shape).to(ScalarType.BFloat16).to(y.dtype)]);
        Parameter[] parameters = [.. adapted.Targets[0].Layers.SelectMany(layer => layer.Parameters()).Select(entry => entry.Parameter).Where(parameter => parameter.grad is not null)];
        Tensor[] results = [y.detach(), leaf.grad!, .. parameters.Select(parameter => parameter.grad!.clone())];
        foreach (var parameter in parameters) parameter.grad = null;
        return results;
    }

    private static void AssertSame(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.True(expected.equal(actual).all().item<bool>());
    }

    private sealed class StopAfter(int? steps) : TrainerCallback
    {
        public override bool OnStepEnd(TrainerState state) => state.GlobalStep != steps;
    }

    private sealed class TwoProjections : nn.Module<Tensor, Tensor>, IFossilAdaptable
    {
        public readonly Linear first = nn.Linear(16, 16, hasBias: false);
        public readonly Linear second = nn.Linear(16, 16, hasBias: false);

        public TwoProjections()
            : base(nameof(TwoProjections)) => RegisterComponents();

        public override Tensor forward(Tensor input) => AdapterDispatch.Forward(second, AdapterDispatch.Forward(first, input));

        public void CollectAdapterTargets(AdapterTargetCollector targets)
        {
            targets.Add(nameof(first), first, new AdapterDefaults(ShardSize: 4));
            targets.Add(nameof(second), second, new AdapterDefaults(ShardSize: 4));
        }
    }
}
