using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>Decoders over the blocks of a GGUF file, beside the same file dequantised.</summary>
public sealed class KeptBlocksTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<AdapterConfig> Configs() =>
    [
        new FossilConfig { ShardSize = 16, TargetModules = ["q_proj", "v_proj", "down_proj"] },
        new FossilConfig { ShardSize = 16, Variant = FossilVariant.Mini, MiniSize = 16, TargetModules = ["k_proj", "up_proj"] },
        new FossilConfig { ShardSize = 24, AllowPadding = true, TargetModules = ["q_proj", "gate_proj"] },
        new FossilConfig { ShardSize = 16, Variant = FossilVariant.Bat, TargetModules = ["k_proj", "o_proj", "gate_proj"] },
        new LoraConfig { Rank = 4, TargetModules = ["q_proj", "embed_tokens", "down_proj"] },
        new LoraConfig { Rank = 4, UseDora = true, TargetModules = ["q_proj", "up_proj"] },
        new LoraConfig { Rank = 4, InitLoraWeights = LoraInitialization.Pissa, TargetModules = ["q_proj", "down_proj"] },
        new VeraConfig { Rank = 8, TargetModules = ["q_proj", "v_proj"] },
        new IA3Config { TargetModules = ["k_proj", "v_proj", "down_proj"], FeedforwardModules = ["down_proj"] },
    ];

    [Theory]
    [MemberData(nameof(Configs))]
    public void Every_method_trains_as_over_the_dequantised_weights(AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        var tokens = TinyModels.Tokens(2, 9);
        var runs = Twins(Write()).Select(model =>
        {
            random.manual_seed(4);
            using var adapted = model.AttachAdapters(config);
            var parameters = model.named_parameters().Where(entry => entry.parameter.requires_grad).OrderBy(entry => entry.name, StringComparer.Ordinal).ToArray();
            using (no_grad())
            {
                using var generator = new Generator(3, CPU);
                foreach (var (_, parameter) in parameters) parameter.add_(empty_like(parameter).normal_(0, 0.1, generator));
            }

            var losses = new List<double>();
            for (var step = 0; step < 4; step++)
            {
                foreach (var (_, parameter) in parameters) parameter.grad = null;
                var loss = model.loss(tokens, tokens);
                loss.backward();
                losses.Add(loss.item<float>());
                using var noGrad = no_grad();
                foreach (var (_, parameter) in parameters) parameter.sub_(parameter.grad!.mul(0.1));
            }

            using var disabled = adapted.DisableAdapters();
            return (losses, model.forward(tokens).detach());
        }).ToArray();

        Assert.Equal(runs[0].losses, runs[1].losses, (one, other) => Math.Abs(one - other) < 1e-4);
        Assert.True(runs[0].losses[^1] < runs[0].losses[0]);
        Assert.True(runs[0].Item2.allclose(runs[1].Item2, atol: 1e-4));
    }

    [Theory]
    [InlineData(GgufTensorType.Q8_0, true, ScalarType.Float32)]
    [InlineData(GgufTensorType.Q4_1, false, ScalarType.Float32)]
    [InlineData(GgufTensorType.Q5_0, true, ScalarType.BFloat16)]
    public void It_computes_and_generates_what_the_dequantised_model_does(GgufTensorType type, bool isTied, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var models = Twins(Write(type, isTied), dtype);
        Assert.DoesNotContain(models[0].named_parameters(), entry => entry.parameter.dim() > 1);
        Assert.All(models[0].modules().OfType<EncodableModule>(), module => Assert.False(module.IsFloatingPoint));
        Assert.Equal(isTied, models[0].Config.TieWordEmbeddings);
        var tokens = TinyModels.Tokens(3, 11);
        using var noGrad = no_grad();
        var logits = models.Select(model => model.forward(tokens).to(ScalarType.Float32)).ToArray();
        Assert.True(logits[0].allclose(logits[1], rtol: 0, atol: dtype == ScalarType.Float32 ? 1e-4 : 0.1));
        if (dtype != ScalarType.Float32) return;
        var texts = models.Select(model => model.Generate([5, 17, 40], new GenerationOptions { MaxNewTokens = 12 })).ToArray();
        Assert.Equal(texts[1], texts[0]);
    }

    [Fact]
    public void A_copy_computes_the_same_and_outlives_the_file()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var path = Write();
        var (mapped, copied) = (LlamaForCausalLM.FromGguf(path, keepQuantized: true), LlamaForCausalLM.FromGguf(path, keepQuantized: true, mapped: false));
        File.WriteAllBytes(path + ".other", [1]);
        var tokens = TinyModels.Tokens(1, 7);
        Assert.True(mapped.forward(tokens).equal(copied.forward(tokens)).all().item<bool>());
        Assert.Throws<ArgumentException>(() => LlamaForCausalLM.FromGguf(path, mapped: false));
    }

    [Fact]
    public void The_bytes_go_with_the_model_to_another_dtype()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var model = Twins(Write())[0];
        var tokens = TinyModels.Tokens(1, 7);
        var before = model.forward(tokens);
        model.to(ScalarType.Float64);
        Assert.All(model.modules().OfType<LinearLayer>(), layer => Assert.Equal((ScalarType.Float64, ScalarType.Byte), (layer.Weight.Dtype, layer.Weight.Data[0].dtype)));
        Assert.True(model.forward(tokens).to(ScalarType.Float32).allclose(before, atol: 1e-4));
    }

    [Fact]
    public void An_expanded_layer_computes_the_same_and_can_be_trained()
    {
        using var scope = NewDisposeScope();
        var model = Twins(Write(isTied: true))[0];
        var tokens = TinyModels.Tokens(1, 7);
        var before = model.loss(tokens, tokens);
        foreach (var module in model.modules().OfType<EncodableModule>()) module.Expand();
        Assert.Contains("model.embed_tokens.weight", model.named_parameters().Select(entry => entry.name));
        Assert.True(model.loss(tokens, tokens).allclose(before, atol: 1e-5));
    }

    public void Dispose() => folder.Dispose();

    private string Write(GgufTensorType type = GgufTensorType.Q8_0, bool isTied = false)
    {
        using var model = TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = isTied });
        model.SaveGguf(folder["model.gguf"], type);
        return folder["model.gguf"];
    }

    /// <summary>The decoder of a file over its blocks, and over its dequantised weights.</summary>
    private static LlamaForCausalLM[] Twins(string path, ScalarType? dtype = null) => [LlamaForCausalLM.FromGguf(path, dtype, keepQuantized: true), LlamaForCausalLM.FromGguf(path, dtype)];
}
