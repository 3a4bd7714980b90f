using System.Text.Json.Nodes;
using Fossil.TestData;

namespace Fossil.Tests.Configuration;

public class AdapterConfigTests
{
    [Theory]
    [InlineData("r", "0")]
    [InlineData("r", "-4")]
    [InlineData("r", "2.5")]
    [InlineData("r", "1e30")]
    [InlineData("r", "\"8\"")]
    [InlineData("mini_r", "0")]
    [InlineData("miss_dropout", "1.0")]
    [InlineData("miss_dropout", "-0.1")]
    [InlineData("miss_dropout", "\"none\"")]
    [InlineData("init_weights", "\"balance\"")]
    [InlineData("init_weights", "1")]
    [InlineData("bias", "\"lora_only\"")]
    [InlineData("bias", "null", false)]
    [InlineData("target_modules", "5")]
    [InlineData("target_modules", "[1]")]
    [InlineData("target_modules", "[\"\"]")]
    [InlineData("target_modules", "\"(\"")]
    [InlineData("exclude_modules", "\"[\"")]
    [InlineData("exclude_modules", "\"all-linear\"")]
    [InlineData("layers_to_transform", "[-1]")]
    [InlineData("layers_to_transform", "\"1\"")]
    [InlineData("layers_pattern", "[\"(\"]")]
    [InlineData("layers_pattern", "{}")]
    [InlineData("modules_to_save", "\"lm_head\"")]
    [InlineData("task_type", "\"CHAT\"")]
    [InlineData("inference_mode", "\"yes\"")]
    [InlineData("peft_type", "\"LOHA\"")]
    [InlineData("peft_type", "null")]
    [InlineData("peft_type", "[]")]
    public void A_value_that_cannot_be_used_is_named(string field, string value, bool refused = true)
    {
        var json = JsonNode.Parse("""{"peft_type": "MISS", "target_modules": ["q_proj"]}""")!.AsObject();
        json[field] = JsonNode.Parse(value);
        if (!refused)
        {
            AdapterConfig.Parse(json.ToJsonString());
            return;
        }

        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[AdapterConfig.FileName], json.ToJsonString());
        var exception = Assert.Throws<ConfigurationException>(() => AdapterConfig.Load(folder.Path));
        Assert.Equal(field, exception.Field);
        Assert.Contains(field, exception.Message);
        Assert.Contains(folder[AdapterConfig.FileName], exception.Message);
    }

    [Theory]
    [InlineData("lora_alpha", "\"16\"")]
    [InlineData("lora_dropout", "2")]
    [InlineData("use_dora", "1")]
    [InlineData("init_lora_weights", "\"olora\"")]
    [InlineData("init_lora_weights", "\"pissa_niter_\"")]
    [InlineData("init_lora_weights", "\"pissa_niter_-1\"")]
    [InlineData("init_lora_weights", "0")]
    [InlineData("rank_pattern", "[]")]
    [InlineData("rank_pattern", "{\"q\": 0}")]
    [InlineData("rank_pattern", "{\"(\": 4}")]
    [InlineData("alpha_pattern", "{\"q\": null}")]
    [InlineData("layers_pattern", "\"layers\"")]
    [InlineData("use_qalora", "true")]
    [InlineData("lora_bias", "true")]
    [InlineData("fan_in_fan_out", "true")]
    [InlineData("target_parameters", "[\"experts.up\"]")]
    [InlineData("trainable_token_indices", "[1]")]
    [InlineData("alora_invocation_tokens", "[1]")]
    [InlineData("layer_replication", "[[0, 2]]")]
    public void A_value_of_LoRA_that_cannot_be_used_is_named(string field, string value)
    {
        var json = new JsonObject { ["peft_type"] = "LORA", [field] = JsonNode.Parse(value) };
        var exception = Assert.Throws<ConfigurationException>(() => AdapterConfig.Parse(json.ToJsonString()));
        Assert.Equal(field, exception.Field);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("{\"peft_type\": \"MISS\", \"r\": 8, \"r\": 16}")]
    [InlineData("{\"peft_type\": \"\\ud800\"}")]
    [InlineData("{\"peft_type\": \"MISS\"} x")]
    public void Text_that_is_no_configuration_is_refused(string json) => Assert.Throws<ConfigurationException>(() => AdapterConfig.Parse(json));

    [Fact]
    public void Deep_nesting_is_refused() =>
        Assert.Throws<ConfigurationException>(() => AdapterConfig.Parse($"{{\"peft_type\": \"MISS\", \"x\": {new string('[', 100_000)}{new string(']', 100_000)}}}"));

    [Fact]
    public void Unknown_fields_survive_in_their_place()
    {
        const string Json = """
            {
              "zeta": {
                "b": [
                  1,
                  2.50
                ],
                "a": null
              },
              "r": 16,
              "peft_type": "MISS",
              "layers_to_transform": 3,
              "target_modules": [
                "v",
                "q"
              ],
              "alpha": "ä\u0001"
            }
            """;
        var config = Assert.IsType<FossilConfig>(AdapterConfig.Parse(Json));
        Assert.Equal(Json, config.ToJson());
        var changed = JsonNode.Parse((config with { ShardSize = 4, Dropout = 0.25 }).ToJson())!.AsObject();
        Assert.Equal(["zeta", "r", "peft_type", "layers_to_transform", "target_modules", "alpha", "miss_dropout"], changed.Select(field => field.Key));
        Assert.Equal(4, (int)changed["r"]!);
        Assert.Equal(0.25, (double)changed["miss_dropout"]!);
        Assert.Equal(3, (int)changed["layers_to_transform"]!);
    }

    [Theory]
    [InlineData("true", FossilVariant.Balance, true)]
    [InlineData("false", FossilVariant.Balance, false)]
    [InlineData("\"mini\"", FossilVariant.Mini, true)]
    [InlineData("\"bat\"", FossilVariant.Bat, true)]
    public void Init_weights_says_which_variant(string value, FossilVariant variant, bool initWeights)
    {
        var config = Assert.IsType<FossilConfig>(AdapterConfig.Parse($"{{\"peft_type\": \"MISS\", \"init_weights\": {value}}}"));
        Assert.Equal((variant, initWeights), (config.Variant, config.InitWeights));
        var written = JsonNode.Parse(new FossilConfig { Variant = variant, InitWeights = initWeights }.ToJson())!;
        Assert.Equal(value, written["init_weights"]!.ToJsonString());
    }

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    [InlineData("\"gaussian\"")]
    [InlineData("\"pissa\"")]
    [InlineData("\"pissa_niter_16\"")]
    public void Init_lora_weights_is_written_as_it_was_read(string value)
    {
        var config = Assert.IsType<LoraConfig>(AdapterConfig.Parse($"{{\"peft_type\": \"LORA\", \"init_lora_weights\": {value}}}"));
        Assert.Equal(value, JsonNode.Parse(new LoraConfig { InitLoraWeights = config.InitLoraWeights }.ToJson())!["init_lora_weights"]!.ToJsonString());
    }

    [Fact]
    public void A_configuration_in_code_is_checked_when_it_is_saved()
    {
        using var folder = new TemporaryFolder();
#pragma warning disable FOSSIL004 // Wrong on purpose.
        Assert.Throws<ConfigurationException>(() => new FossilConfig { ShardSize = 0 }.Save(folder.Path));
#pragma warning restore FOSSIL004
        Assert.Throws<ConfigurationException>(() => new FossilConfig { Variant = FossilVariant.Bat, InitWeights = false }.Save(folder.Path));
        Assert.Throws<ConfigurationException>(() => new FossilConfig { TargetModules = ".*q", LayersToTransform = [1] }.Save(folder.Path));
        Assert.Throws<ConfigurationException>(() => new LoraConfig { Alpha = double.NaN }.Save(folder.Path));
        Assert.Empty(Directory.EnumerateFiles(folder.Path));
    }

    [Fact]
    public void A_configuration_in_code_comes_back_from_its_file()
    {
        using var folder = new TemporaryFolder();
        var config = new LoraConfig
        {
            Rank = 4,
            Alpha = 2.5,
            Dropout = 0.1,
            UseRslora = true,
            UseDora = true,
            InitLoraWeights = LoraInitialization.Gaussian,
            RankPattern = new OrderedDictionary<string, int> { ["z"] = 1, ["a"] = 2 },
            AlphaPattern = new OrderedDictionary<string, double> { ["q"] = 32 },
            TargetModules = ["q_proj", "v_proj"],
            ExcludeModules = ".*head",
            LayersToTransform = [1, 2],
            LayersPattern = ["layers", "h"],
            ModulesToSave = ["lm_head"],
            Bias = AdapterBias.AdapterOnly,
            TaskType = "CAUSAL_LM",
            BaseModelNameOrPath = "some/model",
        };
        config.Save(folder.Path);
        var loaded = Assert.IsType<LoraConfig>(AdapterConfig.Load(folder.Path));
        Assert.Equal(config.ToJson(), loaded.ToJson());
        Assert.Equal(["z", "a"], loaded.RankPattern.Keys);
        Assert.Equal(config.TargetModules, loaded.TargetModules);
        Assert.Contains("\"bias\": \"lora_only\"", config.ToJson());
        Assert.Contains("\"lora_alpha\": 2.5", config.ToJson());
    }
}
