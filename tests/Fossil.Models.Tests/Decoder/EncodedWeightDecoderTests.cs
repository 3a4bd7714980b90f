using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>A decoder whose projections hold their weights in another form than floating-point numbers: it computes, generates and trains as with these weights written out.</summary>
public class EncodedWeightDecoderTests
{
    public static TheoryData<AdapterConfig> Configs() =>
    [
        new FossilConfig { ShardSize = 16, TargetModules = ["q_proj", "v_proj", "down_proj"] },
        new FossilConfig { ShardSize = 16, Variant = FossilVariant.Bat, TargetModules = ["k_proj", "o_proj", "gate_proj"] },
        new LoraConfig { Rank = 4, UseDora = true, TargetModules = ["q_proj", "up_proj"] },
        new LoraConfig { Rank = 4, InitLoraWeights = LoraInitialization.Pissa, TargetModules = ["q_proj", "down_proj"] },
    ];

    [Theory]
    [MemberData(nameof(Configs))]
    public void It_trains_as_with_the_weights_written_out(AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        var tokens = TinyModels.Tokens(2, 9);
        var runs = Twins().Select(model =>
        {
            using var adapted = model.AttachAdapters(config);
            var parameters = model.named_parameters().Where(entry => entry.parameter.requires_grad).OrderBy(entry => entry.name, StringComparer.Ordinal).ToArray();
            using (no_grad())
            {
                using var generator = new Generator(3, CPU);
                foreach (var (_, parameter) in parameters) parameter.normal_(0, 0.1, generator);
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

            using var alone = adapted.DisableAdapters();
            return (losses, model.forward(tokens).detach());
        }).ToArray();

        Assert.Equal(runs[0].losses, runs[1].losses, (one, other) => Math.Abs(one - other) < 1e-4);
        Assert.True(runs[0].losses[^1] < runs[0].losses[0]);
        Assert.True(runs[0].Item2.allclose(runs[1].Item2, atol: 1e-4));
    }

    [Fact]
    public void It_generates_the_same_text()
    {
        using var scope = NewDisposeScope();
        var texts = Twins().Select(model => model.Generate([5, 17, 40], new GenerationOptions { MaxNewTokens = 12 })).ToArray();
        Assert.Equal(texts[0], texts[1]);
    }

    /// <summary>The same decoder twice: with encoded weights, and with what they stand for.</summary>
    private static LlamaForCausalLM[] Twins()
    {
        var (encoded, written) = (TinyModels.Create(), TinyModels.Create());
        using var noGrad = no_grad();
        foreach (var (layer, twin) in Layers(encoded).Zip(Layers(written)))
        {
            layer.Replace(Int8Weight.Of(layer.Weight.ToTensor(ScalarType.Float32)));
            twin.get_parameter("weight")!.copy_(layer.Weight.ToTensor(ScalarType.Float32));
        }

        Assert.DoesNotContain(encoded.named_parameters(), entry => entry.name.Contains("_proj", StringComparison.Ordinal));
        return [encoded, written];
    }

    private static IEnumerable<LinearLayer> Layers(LlamaForCausalLM model) => model.modules().OfType<LinearLayer>();
}
