using Fossil.Models.Gguf;
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

    [Theory]
    [InlineData("", "_orig_mod.")]
    [InlineData("", "module.")]
    [InlineData("", "module._orig_mod.")]
    [InlineData("", "_fsdp_wrapped_module.")]
    [InlineData("", "_forward_module.")]
    [InlineData("model.layers.0.", "model.layers.0._checkpoint_wrapped_module.")]
    [InlineData("model.layers.1.", "model._fsdp_wrapped_module.layers.1._fsdp_wrapped_module._orig_mod.")]
    [InlineData("", "base_model.model.")]
    public void Names_of_wrappers_are_read_as_the_model_s(string from, string to)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path);
        Rename(folder, key => from.Length == 0 ? to + key : key.Replace(from, to, StringComparison.Ordinal));
        using var loaded = LlamaForCausalLM.FromPretrained(folder.Path);
        Assert.True(loaded.forward(TinyModels.Tokens(1, 6)).equal(model.forward(TinyModels.Tokens(1, 6))).all().item<bool>());
    }

    [Fact]
    public void A_file_of_the_inner_model_loads_where_the_output_layer_is_tied_and_says_what_it_lacks_where_not()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = true });
        model.SavePretrained(folder.Path);
        Rename(folder, key => key["model.".Length..]);
        using (var loaded = LlamaForCausalLM.FromPretrained(folder.Path)) Assert.True(loaded.forward(TinyModels.Tokens(1, 6)).equal(model.forward(TinyModels.Tokens(1, 6))).all().item<bool>());
        File.WriteAllText(folder["config.json"], File.ReadAllText(folder["config.json"]).Replace("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", StringComparison.Ordinal));
        var refused = Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path));
        Assert.Equal(["lm_head.weight"], refused.MissingTensors);
        Assert.Contains("without output layer", refused.Message);
    }

    [Theory]
    [InlineData("policy.", "policy.model.", "Without 'policy.'")]
    [InlineData("policy.actor.", "policy.actor.model.", "Without 'policy.actor.'")]
    public void Names_with_an_unknown_prefix_are_shown_as_the_file_has_them_with_a_hint(string prefix, string shown, string hint)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path);
        Rename(folder, key => prefix + key);
        var message = Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message;
        Assert.Contains(shown, message);
        Assert.Contains(hint, message);
    }

    [Fact]
    public void The_state_of_a_PeftModel_is_no_base_and_two_names_of_one_parameter_are_refused()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path);
        Rewrite(folder, tensors =>
        {
            tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"] = zeros(2, 64);
        });
        Assert.Contains("adapter beside the base", Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message);
        model.SavePretrained(folder.Path);
        Rewrite(folder, tensors => tensors["module.model.norm.weight"] = zeros(64));
        Assert.Contains("'module.model.norm.weight', which are both the model's 'model.norm.weight'", Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message);
    }

    [Fact]
    public void What_a_GGUF_file_lacks_or_has_too_much_is_shown_by_GGUF_s_names()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SaveGguf(folder["model.gguf"], GgufTensorType.F32);
        using (var file = GgufFile.Open(folder["model.gguf"]))
        {
            GgufWriter.Save(folder["less.gguf"], file.Metadata, [.. file.Tensors.Where(tensor => tensor.Name != "blk.1.ffn_up.weight")
                .Select(tensor => new GgufTensorSource(tensor.Name == "blk.0.attn_norm.weight" ? "blk.0.other" : tensor.Name, GgufTensorType.F32, [.. tensor.Shape], () => file.Load(tensor.Name)))]);
        }

        var refused = Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromGguf(folder["less.gguf"]));
        Assert.Contains("blk.1.ffn_up.weight", refused.Message);
        Assert.Contains("Surplus: blk.0.other", refused.Message);
        Assert.Contains("model.layers.1.mlp.up_proj.weight", refused.MissingTensors);
    }

    [Fact]
    public void A_configuration_with_another_number_of_tokens_than_the_tensors_is_told_which()
    {
        using var folder = new TemporaryFolder();
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path);
        File.WriteAllText(folder["config.json"], File.ReadAllText(folder["config.json"]).Replace("\"vocab_size\": 96", "\"vocab_size\": 95", StringComparison.Ordinal));
        var refused = Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder.Path)).Message;
        Assert.Contains("for a vocabulary of 96 tokens, the configuration says 95 (vocab_size)", refused);
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
    [InlineData("""{"architectures": ["LlamaForCausalLM"]}""", "its architecture is LlamaForCausalLM")]
    [InlineData("""{"model_type": "our_llama", "architectures": ["LlamaForCausalLM"]}""", "model_type \"our_llama\" (written by LlamaForCausalLM)")]
    [InlineData("""{"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}""", "LlamaForSequenceClassification, which is no causal language model")]
    [InlineData("""{"model_type": "llama", "architectures": "LlamaForCausalLM"}""", "no list of names")]
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
        // Whose class wrote it does not count where the type is known: as in transformers.
        const string common = """ "model_type": "llama", "architectures": ["OurForCausalLM"], "vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2 """;
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

    private static void Rename(TemporaryFolder folder, Func<string, string> rename) => Rewrite(folder, tensors =>
    {
        foreach (var key in tensors.Keys.ToArray())
        {
            if (tensors.Remove(key, out var tensor)) tensors.Add(rename(key), tensor);
        }
    });

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
