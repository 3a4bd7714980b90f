using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Whole decoders with bfloat16 products, over float32 and bfloat16 weights: adapters on some of the projections or on all.</summary>
public class Bf16ProductsDecoderTests
{
    private static readonly Dictionary<string, AdapterConfig> Configs = new()
    {
        ["FOSSIL on all"] = new FossilConfig { ShardSize = 16, TargetModules = "all-linear" },
        ["FOSSIL on keys"] = new FossilConfig { ShardSize = 16, TargetModules = ["k_proj"] },
        ["LoRA on all"] = new LoraConfig { Rank = 4, TargetModules = "all-linear" },
        ["LoRA on queries and values"] = new LoraConfig { Rank = 4, TargetModules = ["q_proj", "v_proj"] },
        ["LoRA on gates"] = new LoraConfig { Rank = 4, TargetModules = ["gate_proj"] },
        ["LoRA on the output layer and the embedding"] = new LoraConfig { Rank = 4, TargetModules = ["lm_head", "embed_tokens", "down_proj"] },
    };

    public static TheoryData<string, ScalarType> Cases()
    {
        var cases = new TheoryData<string, ScalarType>();
        foreach (var name in Configs.Keys)
        {
            foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16 }) cases.Add(name, dtype);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loss_gradients_and_text_are_within_rounding_and_recomputing_changes_nothing(string name, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = false }, dtype: dtype);
        using var adapted = model.AttachAdapters(Configs[name]);
        using (no_grad())
        {
            using var generator = new Generator(3, CPU);
            foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.add_(empty_like(parameter).normal_(0, 0.05, generator));
        }

        var tokens = TinyModels.Tokens(2, 12);
        var (loss, gradients) = Step();
        adapted.Bf16Products = true;
        var (rounded, roundedGradients) = Step();
        Assert.InRange(Math.Abs(rounded - loss) / loss, 0, 1e-2);
        foreach (var (gradient, exact) in roundedGradients.Zip(gradients)) Assert.InRange((gradient - exact).norm().item<float>() / exact.norm().item<float>(), 0, 0.1);

        foreach (var module in model.modules().OfType<ISupportsGradientCheckpointing>()) module.GradientCheckpointing = true;
        var (again, recomputed) = Step();
        Assert.Equal(rounded, again);
        foreach (var (gradient, kept) in recomputed.Zip(roundedGradients)) Assert.True(gradient.equal(kept).all().item<bool>());

        // With the cache as without it, where each new token is a row of its own.
        Assert.Equal(6, model.Generate([5, 6, 7], new GenerationOptions { MaxNewTokens = 6, StopTokens = [] }).Count);
        Assert.Equal([6, 6], model.Generate([[5, 6, 7], [8, 9]], new GenerationOptions { MaxNewTokens = 6, StopTokens = [] }).Select(text => text.Count));

        (double Loss, Tensor[] Gradients) Step()
        {
            model.train();
            var result = model.loss(tokens, tokens);
            result.backward();
            model.eval();
            var parameters = adapted.TrainableParameters().Select(named => named.Parameter).ToArray();
            Tensor[] copies = [.. parameters.Select(parameter => parameter.grad!.clone())];
            foreach (var parameter in parameters) parameter.grad = null;
            return (result.item<float>(), copies);
        }
    }
}
