using Fossil.Models.Tests.Decoder;
using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Families;

/// <summary>Adapters that PEFT trained on more families: the same training here, and their files.</summary>
public sealed class GoldenFamiliesAdapterTests
{
    // What the golden data's README allows.
    private const double LossTolerance = 1e-4, NormTolerance = 5e-4, LogitTolerance = 1e-2;

    public static TheoryData<string, string> Adapters() => GoldenFamilies.Adapters();

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void Training_is_PEFTs(string name, string method)
    {
        using var scope = NewDisposeScope();
        var folder = GoldenFamiliesDecoderTests.OpenFolder(name);
        var adapterFolder = Path.Combine(folder, "adapters", method);
        using var data = GoldenFamilies.Reference(folder);
        using var reference = GoldenFamilies.Reference(adapterFolder);
        var (ids, labels) = (data.Load("input_ids"), data.Load("labels"));
        using var model = AutoModelForCausalLM.FromPretrained(folder);
        using var adapted = model.AttachAdapters(AdapterConfig.Load(adapterFolder) with { InferenceMode = false });
        SetInitialValues(adapted, reference);
        var (losses, norms) = (reference.Load("losses").data<double>().ToArray(), reference.Load("grad_norms").data<double>().ToArray());

        using var optimizer = adapted.CreateOptimizer(1e-2, weightDecay: 0.01);
        var parameters = adapted.TrainableParameters().Select(p => p.Parameter).ToArray();
        for (var step = 0; step < losses.Length; step++)
        {
            using var stepScope = NewDisposeScope();
            var loss = model.loss(ids, labels);
            loss.backward();
            AssertNear(losses[step], loss.item<float>(), LossTolerance, $"the loss of step {step}");
            AssertNear(norms[step], GradientClipping.ClipGradNorm(parameters, double.MaxValue), NormTolerance, $"the norm of step {step}");
            optimizer.step();
            optimizer.zero_grad();
        }

        using var noGrad = no_grad();
        AssertLogits(model, ids, reference.Load("logits"), LogitTolerance);
        adapted.Merge();
        AssertLogits(model, ids, reference.Load("merged_logits"), LogitTolerance);
    }

    [SkippableTheory, MemberData(nameof(Adapters))]
    public void A_file_of_PEFT_gives_PEFTs_logits(string name, string method)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var folder = GoldenFamiliesDecoderTests.OpenFolder(name);
        var adapterFolder = Path.Combine(folder, "adapters", method);
        using var data = GoldenFamilies.Reference(folder);
        using var reference = GoldenFamilies.Reference(adapterFolder);
        var ids = data.Load("input_ids");
        using var model = AutoModelForCausalLM.FromPretrained(folder);
        using var adapted = model.LoadPretrained(adapterFolder);

        AssertLogits(model, ids, reference.Load("logits"), 1e-4);
        adapted.Merge();
        AssertLogits(model, ids, reference.Load("merged_logits"), 1e-4);
    }

    private static void AssertLogits(CausalLM model, Tensor ids, Tensor expected, double tolerance) =>
        Assert.InRange(GoldenDecoderTests.Largest(model.forward(ids).narrow(0, 0, expected.shape[0]), expected), 0, tolerance);

    private static void AssertNear(double expected, double actual, double tolerance, string what) =>
        Assert.True(Math.Abs(actual - expected) <= tolerance * Math.Abs(expected), $"{what} is {actual} instead of {expected}");

    /// <summary>LoRA starts from random values: PEFT's.</summary>
    private static void SetInitialValues(AdaptedModel adapted, SafetensorsFile reference)
    {
        const string prefix = "initial.base_model.model.";
        using var noGrad = no_grad();
        var parameters = adapted.TrainableParameters().ToDictionary(p => p.Name, p => p.Parameter);
        foreach (var name in reference.Names.Where(name => name.StartsWith(prefix))) parameters[name[prefix.Length..]].copy_(reference.Load(name));
    }
}
