using Fossil.Models.Kernels;
using Fossil.Models.Tests.Families;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Kernels;

/// <summary>A layer in one operation for a single token, against its parts one after the other, which it is where gradients are on.</summary>
public sealed class OneTokenLayerTests
{
    private const int Prompt = 19, Tokens = 24;

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (var name in (string[])["llama-untied", "llama-biases", "qwen2", "qwen3", "phi3", "phi3-partial", "smollm3", "granite", "granite-biases", "window"])
        {
            cases.Add(name, "none");
            cases.Add(name, "fossil");
        }

        foreach (var adapter in (string[])["mini", "padded", "bat", "lora", "some", "merged"]) cases.Add("llama-untied", adapter);
        return cases;
    }

    [Theory, MemberData(nameof(Cases))]
    public void It_gives_what_its_parts_give(string name, string adapter)
    {
        using var scope = NewDisposeScope();
        foreach (var (dtype, tolerance) in ((ScalarType, double)[])[(float32, 1e-5), (bfloat16, 4e-2)])
        {
            using var model = Create(name, dtype);
            using var adapted = Attach(model, adapter);
            var ids = arange(3, 3 + Tokens, dtype: int64).unsqueeze(0);
            var parts = Decode(model, ids);
            using var noGrad = no_grad();
            var whole = Decode(model, ids);
            Assert.InRange(Distance.Relative(whole, parts.detach()), 0, tolerance);
            Assert.Equal(adapter is "none" or "fossil" or "merged", Takes(model));
        }
    }

    [Fact]
    public void Padding_several_texts_and_gradients_go_through_the_parts()
    {
        using var scope = NewDisposeScope();
        using var model = Create("llama-untied", float32);
        Assert.False(Takes(model));
        using var noGrad = no_grad();
        Assert.True(Takes(model));
        Assert.False(Takes(model, texts: 2));
        Assert.False(Takes(model, mask: ones(1, 1, dtype: int64)));
    }

    /// <summary>Logits of tokens behind a prompt that come one at a time.</summary>
    private static Tensor Decode(CausalLM model, Tensor ids)
    {
        using var cache = new KeyValueCache(model.CommonConfig.NumHiddenLayers);
        model.forward(ids.narrow(1, 0, Prompt), null, cache);
        return cat([.. Enumerable.Range(Prompt, Tokens - Prompt).Select(i => model.forward(ids.narrow(1, i, 1), null, cache))], 1);
    }

    private static CausalLM Create(string name, ScalarType dtype)
    {
        var model = name switch
        {
            "window" => FamilyModels.Create("llama-untied", config => config with { HeadDim = 32, SlidingWindow = 7 }),
            "phi3-partial" => FamilyModels.Create(name, config => config with { HeadDim = 64, Rope = new() { PartialRotaryFactor = 0.5 } }),
            _ => FamilyModels.Create(name, config => config with { HeadDim = 32 }),
        };
        return model.to(dtype);
    }

    private static AdaptedModel? Attach(CausalLM model, string adapter)
    {
        AdapterConfig? config = adapter switch
        {
            "none" => null,
            "mini" => new FossilConfig { ShardSize = 16, Variant = FossilVariant.Mini, MiniSize = 16 },
            "padded" => new FossilConfig { ShardSize = 48, AllowPadding = true },
            "bat" => new FossilConfig { ShardSize = 16, Variant = FossilVariant.Bat },
            "lora" => new LoraConfig { Rank = 4 },
            "some" => new LoraConfig { Rank = 4, TargetModules = ["v_proj"] },
            _ => new FossilConfig { ShardSize = 16 },
        };
        if (config is null) return null;
        var adapted = model.AttachAdapters(config);
        FamilyModels.Fill(adapted.TrainableParameters().Select(named => named.Parameter), 0.05);
        if (adapter == "merged") adapted.Merge();
        return adapted;
    }

    private static bool Takes(CausalLM model, int texts = 1, Tensor? mask = null)
    {
        using var cache = new KeyValueCache(model.CommonConfig.NumHiddenLayers);
        var layer = model.modules().OfType<DecoderLayer>().First();
        var x = zeros(texts, 1, model.CommonConfig.HiddenSize, dtype: model.parameters().First().dtype);
        using var rotary = new RotaryEmbedding(model.CommonConfig.Rope, model.CommonConfig.RotaryDim);
        var context = AttentionContext.Create(model.CommonConfig, rotary, x, new(zeros(texts, 1, dtype: int64), mask, cache));
        return OneTokenLayer.TryRun(x, layer.Parts, context) is not null;
    }
}
