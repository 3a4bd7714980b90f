using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Adapters that PEFT trained on the tiny checkpoints: the same training here, and their files.</summary>
public sealed class GoldenAdapterTests
{
    // What the golden data's README allows.
    private const double LossTolerance = 1e-4, NormTolerance = 5e-4, LogitTolerance = 1e-2;

    public static TheoryData<string, string> Adapters() => GoldenCases.AdapterNames();

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void Twenty_steps_of_training_are_PEFTs(string architecture, string name)
    {
        using var scope = NewDisposeScope();
        var golden = GoldenCases.Adapter(architecture, name);
        using var reference = golden.OpenReference();
        using var data = SafetensorsFile.Open(Path.Combine(golden.ModelFolder, "reference.safetensors"));
        var (ids, labels) = (data.Load("input_ids"), data.Load("labels"));
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        var config = TrainingConfig(golden);
        using var adapted = model.AttachAdapters(config with { InferenceMode = false });
        Assert.Equal(golden.TrainableParameters, adapted.TrainableParameters().Sum(p => p.Parameter.numel()));
        SetInitialValues(adapted, reference);

        var (losses, norms) = Train(adapted, model, ids, labels, reference.Load("learning_rates").data<double>().ToArray(), halves: name.EndsWith("-scheduled"));

        AssertNear(reference.Load("losses"), losses, LossTolerance);
        AssertNear(reference.Load("grad_norms"), norms, NormTolerance);
        using var noGrad = no_grad();
        Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("logits")), 0, LogitTolerance);
        using (adapted.DisableAdapters())
        {
            // Without its adapters the model is the base. PEFT's PiSSA leaves the residual there instead, which only the adapter has a use for.
            Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), data.Load("logits")), 0, LogitTolerance);
            if (config is not LoraConfig { InitLoraWeights.IsPissa: true }) Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("disabled_logits")), 0, LogitTolerance);
        }
        adapted.Merge();
        Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("merged_logits")), 0, LogitTolerance);
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void A_file_of_PEFT_gives_PEFTs_logits_and_merges_to_PEFTs_weight(string architecture, string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var golden = GoldenCases.Adapter(architecture, name);
        using var reference = golden.OpenReference();
        using var data = SafetensorsFile.Open(Path.Combine(golden.ModelFolder, "reference.safetensors"));
        var ids = data.Load("input_ids");
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        using var adapted = model.LoadPretrained(golden.Folder);

        Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("logits")), 0, 1e-4);
        adapted.Merge();
        Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("merged_logits")), 0, 1e-4);
        var weight = model.named_parameters().Single(p => p.name == "model.layers.0.self_attn.q_proj.weight").parameter;
        Assert.InRange(Distance.Relative(weight, reference.Load("merged.layers.0.q_proj")), 0, 1e-6);
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void What_was_saved_here_loads_to_the_same_logits(string architecture, string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        var golden = GoldenCases.Adapter(architecture, name);
        using var data = SafetensorsFile.Open(Path.Combine(golden.ModelFolder, "reference.safetensors"));
        var ids = data.Load("input_ids");
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        using var adapted = model.LoadPretrained(golden.Folder);
        adapted.SavePretrained(folder.Path);
        using var other = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        using var again = other.LoadPretrained(folder.Path);

        Assert.Equal(0, GoldenDecoderTests.Largest(other.forward(ids), model.forward(ids)));
    }

    /// <summary>What was saved after PiSSA's training is the plain LoRA that it amounts to; how it began stands beside it, but for the initialisation's name.</summary>
    private static AdapterConfig TrainingConfig(GoldenAdapter golden)
    {
        var beginning = Path.Combine(golden.Folder, "initial");
        return Directory.Exists(beginning) ? (LoraConfig)AdapterConfig.Load(beginning) with { InitLoraWeights = LoraInitialization.Pissa } : golden.Config();
    }

    private static (double[] Losses, double[] Norms) Train(AdaptedModel adapted, LlamaForCausalLM model, Tensor ids, Tensor labels, double[] rates, bool halves)
    {
        using var optimizer = adapted.CreateOptimizer(1e-2, weightDecay: 0.01);
        var parameters = adapted.TrainableParameters().Select(p => p.Parameter).ToArray();
        var (losses, norms) = (new double[rates.Length], new double[rates.Length]);
        for (var step = 0; step < rates.Length; step++)
        {
            using var scope = NewDisposeScope();
            var parts = halves ? 2 : 1;
            foreach (var (part, partLabels) in ids.chunk(parts).Zip(labels.chunk(parts)))
            {
                var loss = model.loss(part, partLabels) / parts;
                loss.backward();
                losses[step] += loss.item<float>();
            }
            norms[step] = GradientClipping.ClipGradNorm(parameters, halves ? 1.0 : double.MaxValue);
            optimizer.LearningRate = rates[step];
            optimizer.step();
            optimizer.zero_grad();
        }
        return (losses, norms);
    }

    /// <summary>Methods of the LoRA family start from random values: PEFT's.</summary>
    internal static void SetInitialValues(AdaptedModel adapted, SafetensorsFile reference)
    {
        const string prefix = "initial.base_model.model.";
        using var noGrad = no_grad();
        var parameters = adapted.TrainableParameters().ToDictionary(p => p.Name, p => p.Parameter);
        foreach (var name in reference.Names.Where(name => name.StartsWith(prefix))) parameters[name[prefix.Length..]].copy_(reference.Load(name));
    }

    private static void AssertNear(Tensor expected, double[] actual, double tolerance)
    {
        foreach (var (step, (e, a)) in expected.data<double>().ToArray().Zip(actual).Index())
        {
            Assert.True(Math.Abs(a - e) <= tolerance * Math.Abs(e), $"step {step}: {a} instead of {e}");
        }
    }
}
