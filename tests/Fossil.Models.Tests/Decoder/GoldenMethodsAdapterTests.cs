using System.Text.Json.Nodes;
using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>VeRA and IA3 adapters that PEFT trained on the tiny checkpoints: the same training here, and their files.</summary>
public sealed class GoldenMethodsAdapterTests
{
    // What the golden data's README allows.
    private const double LossTolerance = 1e-5, NormTolerance = 1e-4, LogitTolerance = 1e-3;

    public static TheoryData<string, string> Adapters() => GoldenMethodsCases.Adapters();

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void Twenty_steps_of_training_are_PEFTs(string architecture, string name)
    {
        using var scope = NewDisposeScope();
        var golden = GoldenMethodsCases.Adapter(architecture, name);
        using var reference = golden.OpenReference();
        using var data = SafetensorsFile.Open(Path.Combine(golden.ModelFolder, "reference.safetensors"));
        var (ids, labels) = (data.Load("input_ids"), data.Load("labels"));
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        using var adapted = model.AttachAdapters(AdapterConfig.Load(golden.Folder) with { InferenceMode = false });
        var trained = adapted.TrainableParameters();
        Assert.Equal(golden.TrainableNames.Order(), trained.Select(entry => entry.Name).Order());
        Assert.Equal(golden.TrainableParameters, trained.Sum(entry => entry.Parameter.numel()));
        foreach (var (parameterName, parameter) in trained)
            Assert.True(reference.Load("initial.base_model.model." + parameterName).equal(parameter).all().item<bool>(), parameterName);

        using (var optimizer = adapted.CreateOptimizer(golden.LearningRate, weightDecay: 0.01))
        {
            var (losses, norms) = (reference.Load("losses").data<double>().ToArray(), reference.Load("grad_norms").data<double>().ToArray());
            for (var step = 0; step < losses.Length; step++)
            {
                using var stepScope = NewDisposeScope();
                var loss = model.loss(ids, labels);
                loss.backward();
                Assert.InRange(Math.Abs(loss.item<float>() - losses[step]) / losses[step], 0, LossTolerance);
                Assert.InRange(Math.Abs(GradientClipping.ClipGradNorm(trained.Select(entry => entry.Parameter), double.PositiveInfinity) - norms[step]) / norms[step], 0, NormTolerance);
                optimizer.step();
                optimizer.zero_grad();
            }
        }

        CheckLogits(model, adapted, ids, reference, LogitTolerance);
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void A_file_of_PEFT_gives_PEFTs_logits_and_merges_to_PEFTs_weights(string architecture, string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var golden = GoldenMethodsCases.Adapter(architecture, name);
        using var reference = golden.OpenReference();
        using var data = SafetensorsFile.Open(Path.Combine(golden.ModelFolder, "reference.safetensors"));
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        using var adapted = model.LoadPretrained(golden.Folder);
        CheckLogits(model, adapted, data.Load("input_ids"), reference, 1e-4);

        var parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        foreach (var key in reference.Names.Where(key => key.StartsWith("merged.", StringComparison.Ordinal)))
        {
            // merged.layers.0.q_proj, merged.layers.0.v_proj.bias
            var parts = key.Split('.');
            var parameter = parameters.Single(entry => entry.Key.Contains($".layers.{parts[2]}.", StringComparison.Ordinal) && entry.Key.EndsWith($".{parts[3]}.{(parts is [.., "bias"] ? "bias" : "weight")}", StringComparison.Ordinal)).Value;
            Assert.InRange(Distance.Relative(parameter, reference.Load(key)), 0, 1e-6);
        }
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void What_was_saved_here_is_PEFTs_file_and_loads_to_the_same_logits(string architecture, string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        var golden = GoldenMethodsCases.Adapter(architecture, name);
        using var data = SafetensorsFile.Open(Path.Combine(golden.ModelFolder, "reference.safetensors"));
        var ids = data.Load("input_ids");
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        using var adapted = model.LoadPretrained(golden.Folder);
        adapted.SavePretrained(folder.Path);
        Assert.Equal(File.ReadAllText(Path.Combine(golden.Folder, AdapterConfig.FileName)), File.ReadAllText(folder[AdapterConfig.FileName]));
        using (var theirs = SafetensorsFile.Open(Path.Combine(golden.Folder, AdapterFile.FileName)))
        using (var ours = SafetensorsFile.Open(folder[AdapterFile.FileName]))
        {
            Assert.Equal(golden.Saved.Keys.Order(), ours.Names.Order());
            Assert.All(golden.Saved, entry => Assert.Equal(entry.Value, ours.GetInfo(entry.Key).Shape));
            Assert.All(theirs.Names, key => Assert.True(theirs.Load(key).equal(ours.Load(key)).all().item<bool>(), key));
        }

        using var other = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        using var again = other.LoadPretrained(folder.Path);
        Assert.Equal(0, GoldenDecoderTests.Largest(other.forward(ids), model.forward(ids)));
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void A_configuration_that_is_written_anew_has_every_field_of_PEFT(string architecture, string name)
    {
        var golden = GoldenMethodsCases.Adapter(architecture, name);
        var theirs = JsonNode.Parse(File.ReadAllText(Path.Combine(golden.Folder, AdapterConfig.FileName)))!.AsObject();
        AdapterConfig fresh = AdapterConfig.Load(golden.Folder) is VeraConfig ? new VeraConfig() : new IA3Config();
        Assert.Equal(theirs.Select(field => field.Key), JsonNode.Parse(fresh.ToJson())!.AsObject().Select(field => field.Key));
    }

    private static void CheckLogits(LlamaForCausalLM model, AdaptedModel adapted, Tensor ids, SafetensorsFile reference, double tolerance)
    {
        using var noGrad = no_grad();
        Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("logits")), 0, tolerance);
        using (adapted.DisableAdapters()) Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("disabled_logits")), 0, tolerance);
        adapted.Merge();
        Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("merged_logits")), 0, tolerance);
        using (adapted.DisableAdapters()) Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids), reference.Load("disabled_logits")), 0, tolerance);
    }
}
