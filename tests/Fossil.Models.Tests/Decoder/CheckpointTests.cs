using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Hugging Face folders that are as they should be, and that are not.</summary>
public sealed class CheckpointTests
{
    [Fact]
    public void Several_files_with_an_index_load_as_one()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path);
        Split(folder);

        using var loaded = LlamaForCausalLM.FromPretrained(folder.Path);
        var ids = TinyModels.Tokens(1, 6);
        Assert.True(loaded.forward(ids).equal(model.forward(ids)).all().item<bool>());
    }

    [Fact]
    public void A_model_made_inside_a_dispose_scope_outlives_it()
    {
        LlamaForCausalLM model;
        using (NewDisposeScope()) model = TinyModels.Create();
        using (model)
        using (NewDisposeScope())
        {
            Assert.Equal([1, 5, 96], model.forward(TinyModels.Tokens(1, 5)).shape);
            Assert.Equal(21, model.named_parameters().Count());
        }
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float64)]
    public void Any_float_dtype_loads_as_the_wanted_one(ScalarType stored)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path, stored);

        using var loaded = LlamaForCausalLM.FromPretrained(folder.Path, bfloat16);
        foreach (var ((name, expected), (_, actual)) in model.named_parameters().Zip(loaded.named_parameters()))
        {
            Assert.Equal(ScalarType.BFloat16, actual.dtype);
            Assert.True(actual.equal(expected.to(stored).to(bfloat16)).all().item<bool>(), name);
        }
    }

    [Fact]
    public void Missing_surplus_and_wrongly_shaped_tensors_are_named()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path);
        Rewrite(folder, tensors =>
        {
            tensors.Remove("model.layers.1.mlp.up_proj.weight");
            tensors["model.layers.9.extra"] = zeros(1);
            tensors["model.norm.weight"] = zeros(3);
        });

        var exception = Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path));
        Assert.Equal(["model.layers.1.mlp.up_proj.weight"], exception.MissingTensors);
        Assert.Equal(["model.layers.9.extra"], exception.SurplusTensors);
        Assert.Contains("model.norm.weight (3) instead of (64)", Assert.Single(exception.WrongShapes));
        Assert.Contains(folder.Path, exception.Message);
    }

    [Fact]
    public void A_tied_output_layer_in_the_file_is_no_surplus()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = true });
        model.SavePretrained(folder.Path);
        Rewrite(folder, tensors => tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]);

        using var loaded = LlamaForCausalLM.FromPretrained(folder.Path);
        Assert.DoesNotContain(loaded.named_parameters(), p => p.name.StartsWith("lm_head"));
    }

    [Theory]
    [InlineData("{}", "has no model_type")]
    [InlineData("[1]", "is not a JSON object")]
    [InlineData("{", "is not JSON")]
    [InlineData("""{"model_type": "\ud800"}""", "no Unicode text")]
    [InlineData("""{"\udfff": 1, "model_type": "llama"}""", "no Unicode text")]
    [InlineData("""{"model_type": "gpt2"}""", "model_type \"gpt2\"")]
    [InlineData("""{"model_type": "llama", "hidden_act": "gelu"}""", "hidden_act")]
    [InlineData("""{"model_type": "llama", "num_attention_heads": 2.5}""", "num_attention_heads 2.5")]
    [InlineData("""{"model_type": "llama", "num_attention_heads": "4"}""", "num_attention_heads 4, which is no number")]
    [InlineData("""{"model_type": "llama", "num_attention_heads": 4, "hidden_size": 64, "num_hidden_layers": 1, "num_key_value_heads": 3}""", "do not divide")]
    [InlineData("""{"model_type": "llama", "num_attention_heads": 4, "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 9, "intermediate_size": 9, "rope_scaling": {"type": "xpos"}}""", "rope_type \"xpos\"")]
    public void A_configuration_that_cannot_be_used_says_why(string json, string message)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["config.json"], json);
        var exception = Assert.Throws<CheckpointException>(() => LlamaConfig.Load(folder["config.json"]));
        Assert.Contains(message, exception.Message);
        Assert.Contains(folder["config.json"], exception.Message);
    }

    [Fact]
    public void Old_and_new_rotary_settings_mean_the_same()
    {
        using var folder = new TemporaryFolder();
        const string common = """ "model_type": "llama", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2 """;
        const string scaling = """ "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192 """;
        File.WriteAllText(folder["old.json"], $$"""{ {{common}}, "rope_theta": 5e5, "rope_scaling": { "rope_type": "llama3", {{scaling}} } }""");
        File.WriteAllText(folder["new.json"], $$"""{ {{common}}, "rope_parameters": { "rope_theta": 5e5, "rope_type": "llama3", {{scaling}} } }""");

        var rope = LlamaConfig.Load(folder["old.json"]).Rope;
        Assert.Equal(rope, LlamaConfig.Load(folder["new.json"]).Rope);
        Assert.Equal((RopeType.Llama3, 5e5, 8.0), (rope.Type, rope.Theta, rope.Factor));
    }

    [Fact]
    public void A_folder_without_tensors_or_with_an_index_that_leads_elsewhere_is_refused()
    {
        using var folder = new TemporaryFolder();
        TinyModels.Config.Save(folder["config.json"]);
        Assert.Contains("neither", Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message);

        File.WriteAllText(folder["model.safetensors.index.json"], """{"weight_map": {"a": "../elsewhere.safetensors"}}""");
        Assert.Contains("not a file of this folder", Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message);

        File.WriteAllText(folder["model.safetensors.index.json"], """{"weight_map": {"a": "\ud800"}}""");
        Assert.Contains("no Unicode text", Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message);

        File.WriteAllText(folder["model.safetensors.index.json"], """{"weight_map": 3}""");
        Assert.Contains("weight_map", Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message);
    }

    private static void Rewrite(TemporaryFolder folder, Action<Dictionary<string, Tensor>> change)
    {
        var tensors = Read(folder["model.safetensors"]);
        change(tensors);
        SafetensorsWriter.Save(folder["model.safetensors"], tensors.Select(t => (t.Key, t.Value)));
    }

    private static void Split(TemporaryFolder folder)
    {
        var tensors = Read(folder["model.safetensors"]);
        File.Delete(folder["model.safetensors"]);
        var names = tensors.Keys.ToArray();
        var map = names.Select((name, i) => $"\"{name}\": \"model-{i % 2}.safetensors\"");
        for (var part = 0; part < 2; part++)
        {
            SafetensorsWriter.Save(folder[$"model-{part}.safetensors"], names.Where((_, i) => i % 2 == part).Select(name => (name, tensors[name])));
        }
        File.WriteAllText(folder["model.safetensors.index.json"], $$"""{"metadata": {}, "weight_map": { {{string.Join(", ", map)}} } }""");
    }

    private static Dictionary<string, Tensor> Read(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.Names.ToDictionary(name => name, name => file.Load(name));
    }
}
