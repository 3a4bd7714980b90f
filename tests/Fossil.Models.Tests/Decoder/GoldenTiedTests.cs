using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Adapters on a decoder whose output layer shares the embedding's weight, against PEFT's.</summary>
public sealed class GoldenTiedTests : IDisposable
{
    // What the golden data's README allows.
    private const double LossTolerance = 1e-4, NormTolerance = 5e-4, LogitTolerance = 1e-2, ReloadTolerance = 1e-4;

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Cases() => GoldenTiedCases.Names();

    [SkippableTheory, MemberData(nameof(Cases))]
    public void Ten_steps_of_training_are_PEFTs(string name)
    {
        using var scope = NewDisposeScope();
        var golden = GoldenTiedCases.Get(name);
        using var reference = golden.OpenReference();
        var (ids, labels) = (reference.Load("input_ids"), reference.Load("labels"));
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        var before = Logits(model, ids);
        using var adapted = model.AttachAdapters(golden.Config());
        SetInitialValues(adapted, reference);
        var trained = adapted.TrainableParameters();
        Assert.Equal(golden.Trained.Keys.Order(), trained.Select(entry => entry.Name).Where(trainedName => !trainedName.Contains(".layers.", StringComparison.Ordinal)).Order());
        foreach (var (trainedName, parameter) in trained)
        {
            if (golden.Trained.TryGetValue(trainedName, out var shape)) Assert.Equal(shape, parameter.shape);
        }

        var (losses, norms) = (new List<double>(), new List<double>());
        var steps = reference.Load("losses").numel();
        using (var optimizer = adapted.CreateOptimizer(1e-2, weightDecay: 0.01))
        {
            for (var step = 0; step < steps; step++)
            {
                using var stepScope = NewDisposeScope();
                var loss = model.loss(ids, labels);
                loss.backward();
                norms.Add(GradientClipping.ClipGradNorm(trained.Select(entry => entry.Parameter), double.PositiveInfinity));
                optimizer.step();
                optimizer.zero_grad();
                losses.Add(loss.item<float>());
            }
        }

        AssertNear(reference.Load("losses"), losses, LossTolerance);
        AssertNear(reference.Load("grad_norms"), norms, NormTolerance);
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), reference.Load("logits")), 0, LogitTolerance);
        using (adapted.DisableAdapters()) Assert.Equal(0, GoldenDecoderTests.Largest(Logits(model, ids), before));
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), reference.Load("logits")), 0, LogitTolerance);
    }

    [SkippableTheory, MemberData(nameof(Cases))]
    public void A_file_of_PEFT_gives_PEFTs_logits_and_is_saved_with_PEFTs_keys(string name)
    {
        using var scope = NewDisposeScope();
        var golden = GoldenTiedCases.Get(name);
        using var reference = golden.OpenReference();
        var ids = reference.Load("input_ids");
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        AdaptedModel? adapted = null;
        var warnings = CollectedWarnings.During(() => adapted = model.LoadPretrained(golden.Folder));
        using (adapted)
        {
            Assert.Equal(golden.Warns, warnings.Any(warning => warning.Contains("shares its memory", StringComparison.Ordinal)));
            Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), reference.Load("logits")), 0, ReloadTolerance);
            adapted!.SavePretrained(folder.Path);
            using var saved = SafetensorsFile.Open(folder[AdapterFile.FileName]);
            using var expected = SafetensorsFile.Open(Path.Combine(golden.Folder, AdapterFile.FileName));
            Assert.Equal(expected.Names.Order(), saved.Names.Order());
            Assert.Equal(golden.Saved, saved.Names.Where(key => !key.Contains(".layers.", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
            foreach (var key in expected.Names) Assert.True(expected.Load(key).equal(saved.Load(key)).all().item<bool>(), key);

            using var other = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
            using var again = other.LoadPretrained(folder.Path);
            Assert.Equal(0, GoldenDecoderTests.Largest(Logits(other, ids), Logits(model, ids)));
        }
    }

    [SkippableTheory, MemberData(nameof(Cases))]
    public void Merged_it_answers_as_before_in_every_form(string name)
    {
        using var scope = NewDisposeScope();
        var golden = GoldenTiedCases.Get(name);
        using var reference = golden.OpenReference();
        var (ids, expected) = (reference.Load("input_ids"), reference.Load("logits"));
        using var model = LlamaForCausalLM.FromPretrained(golden.ModelFolder);
        var before = Logits(model, ids);
        using var adapted = model.LoadPretrained(golden.Folder);

        adapted.SaveMergedPretrained(folder["hf"]);
        adapted.SaveMergedGguf(folder["merged.gguf"], GgufTensorType.F32);
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), expected), 0, ReloadTolerance);
        using (adapted.DisableAdapters()) Assert.Equal(0, GoldenDecoderTests.Largest(Logits(model, ids), before));
        using (var loaded = LlamaForCausalLM.FromPretrained(folder["hf"]))
        {
            Assert.Equal(golden.IsTiedWhenMerged, loaded.Config.TieWordEmbeddings);
            Assert.InRange(GoldenDecoderTests.Largest(Logits(loaded, ids), expected), 0, ReloadTolerance);
        }

        Assert.Equal(golden.IsTiedWhenMerged, LlamaConfig.Load(folder[Path.Combine("hf", LlamaConfig.FileName)]).TieWordEmbeddings);
        using (var file = SafetensorsFile.Open(folder[Path.Combine("hf", "model.safetensors")])) Assert.Equal(!golden.IsTiedWhenMerged, file.Names.Contains("lm_head.weight"));
        using (var loaded = LlamaForCausalLM.FromGguf(folder["merged.gguf"]))
        {
            Assert.Equal(golden.IsTiedWhenMerged, loaded.Config.TieWordEmbeddings);
            Assert.InRange(GoldenDecoderTests.Largest(Logits(loaded, ids), expected), 0, ReloadTolerance);
        }

        adapted.Merge(safe: true);
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), expected), 0, ReloadTolerance);
        adapted.Unmerge();
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), expected), 0, ReloadTolerance);
        Assert.InRange(GoldenDecoderTests.Largest(Logits((LlamaForCausalLM)adapted.MergeAndUnload(), ids), expected), 0, ReloadTolerance);
        Assert.Equal(golden.IsTiedWhenMerged, model.Config.TieWordEmbeddings);
        Assert.InRange(GoldenDecoderTests.Largest(Logits(model, ids), expected), 0, ReloadTolerance);
    }

    [SkippableFact]
    public void A_file_that_says_tied_and_has_another_output_layer_keeps_both_and_warns()
    {
        using var scope = NewDisposeScope();
        var untied = Path.Combine(DataFolders.RequireGoldenTied(), "untied");
        using var reference = SafetensorsFile.Open(Path.Combine(untied, "reference.safetensors"));
        LlamaForCausalLM? loaded = null;
        var warnings = CollectedWarnings.During(() => loaded = LlamaForCausalLM.FromPretrained(untied));
        using (loaded)
        {
            Assert.Contains(warnings, warning => warning.Contains("tie_word_embeddings", StringComparison.Ordinal) && warning.Contains(untied, StringComparison.Ordinal));
            Assert.False(loaded!.Config.TieWordEmbeddings);
            Assert.InRange(GoldenDecoderTests.Largest(Logits(loaded, reference.Load("input_ids")), reference.Load("logits")), 0, ReloadTolerance);
        }
    }

    public void Dispose() => folder.Dispose();

    /// <summary>Logits of the first row, as in the reference.</summary>
    private static Tensor Logits(LlamaForCausalLM model, Tensor ids)
    {
        using var noGrad = no_grad();
        using var row = ids.narrow(0, 0, 1);
        return model.forward(row);
    }

    private static void SetInitialValues(AdaptedModel adapted, SafetensorsFile reference)
    {
        const string prefix = "initial.base_model.model.";
        using var noGrad = no_grad();
        var parameters = adapted.TrainableParameters().ToDictionary(entry => entry.Name, entry => entry.Parameter);
        foreach (var name in reference.Names.Where(name => name.StartsWith(prefix, StringComparison.Ordinal))) parameters[name[prefix.Length..]].copy_(reference.Load(name));
    }

    private static void AssertNear(Tensor expected, IReadOnlyList<double> actual, double tolerance)
    {
        var truth = expected.to(ScalarType.Float64).data<double>().ToArray();
        Assert.Equal(truth.Length, actual.Count);
        foreach (var (step, (e, a)) in truth.Zip(actual).Index()) Assert.True(Math.Abs(a - e) <= tolerance * Math.Abs(e), $"step {step}: {a} instead of {e}");
    }
}
