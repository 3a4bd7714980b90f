using Fossil.Tests.Adapters;

namespace Fossil.Tests.Configuration;

public class TargetSelectorTests
{
    private static readonly string[] Projections = ["self_attn.q_proj", "self_attn.k_proj", "mlp.experts.0.up_proj", "mlp.experts.1.up_proj", "mlp.down_proj"];

    private static readonly SelectableModule[] Model =
    [
        new("", false, false, false),
        new("model.embed_tokens", false, false, false),
        .. Enumerable.Range(0, 12).SelectMany(layer => Projections.Select(name => new SelectableModule($"model.layers.{layer}.{name}", true, false, !name.Contains("experts")))),
        new("model.vision.blocks.0.q_proj", true, false, false),
        new("lm_head", true, true, false),
    ];

    [Theory]
    [InlineData("q_proj", 13)]
    [InlineData("self_attn.q_proj", 12)]
    [InlineData("proj", 0)]
    [InlineData("_proj", 0)]
    [InlineData("lm_head", 1)]
    [InlineData("model.layers.1.mlp.down_proj", 1)]
    [InlineData("embed_tokens", 1)]
    public void A_name_chooses_the_module_itself_and_those_that_end_in_a_dot_and_it(string name, int expected)
    {
        var config = new FossilConfig { TargetModules = [name] };
        if (expected == 0) Assert.Throws<ConfigurationException>(() => TargetSelector.Select(config, Model));
        else Assert.Equal(expected, TargetSelector.Select(config, Model).Count);
    }

    [Theory]
    [InlineData(@".*\.q_proj", 13)]
    [InlineData(@"model\.layers\.1\..*", 5)]
    [InlineData(@".*layers\.(?P<index>1|2)\.mlp\.down_proj", 2)]
    [InlineData(@"q_proj", 0)]
    [InlineData(@".*layers\.1", 0)]
    [InlineData(@".*down_proj\Z", 12)]
    [InlineData(@"lm_head|model\.embed_tokens", 2)]
    public void An_expression_must_match_the_whole_path(string pattern, int expected)
    {
        var config = new FossilConfig { TargetModules = pattern };
        if (expected == 0) Assert.Throws<ConfigurationException>(() => TargetSelector.Select(config, Model));
        else Assert.Equal(expected, TargetSelector.Select(config, Model).Count);
    }

    [Theory]
    [InlineData("all-linear")]
    [InlineData("All-Linear")]
    public void All_linear_leaves_out_the_output_layer(string name) =>
        Assert.Equal(Model.Where(module => module.IsLinear && !module.IsOutputLayer).Select(module => module.Path), TargetSelector.Select(new FossilConfig { TargetModules = name }, Model));

    [Fact]
    public void Without_target_modules_the_annotated_modules_are_chosen() =>
        Assert.Equal(Model.Where(module => module.IsAnnotated).Select(module => module.Path), TargetSelector.Select(new FossilConfig(), Model));

    [Fact]
    public void What_is_saved_chooses_the_same_modules_without_attributes()
    {
        var saved = TargetSelector.Resolve(new FossilConfig(), Model);
        Assert.Equal(["self_attn.q_proj", "k_proj", "down_proj"], saved.TargetModules!.Names);
        var bare = Model.Select(module => module with { IsAnnotated = false, IsLinear = false }).ToList();
        Assert.Equal(TargetSelector.Select(new FossilConfig(), Model), TargetSelector.Select(saved, bare));
        var linear = TargetSelector.Resolve(new FossilConfig { TargetModules = ModuleSelector.AllLinear }, Model);
        Assert.Equal(["q_proj", "k_proj", "up_proj", "down_proj"], linear.TargetModules!.Names);
        Assert.Equal(TargetSelector.Select(new FossilConfig { TargetModules = "all-linear" }, Model), TargetSelector.Select(linear, bare));
    }

    [Theory]
    [InlineData("q_proj", 0)]
    [InlineData("self_attn.q_proj", 1)]
    [InlineData("layers.1.self_attn.q_proj", 12)]
    [InlineData("proj", 13)]
    [InlineData("model.vision.blocks.0.q_proj", 12)]
    public void Excluded_modules_are_left_out(string excluded, int expected)
    {
        Assert.Equal(expected, Count(new FossilConfig { TargetModules = ["q_proj"], ExcludeModules = [excluded] }));
        Assert.Equal(12, Count(new FossilConfig { TargetModules = ["q_proj"], ExcludeModules = @".*vision.*" }));
        Assert.Equal(13, Count(new FossilConfig { TargetModules = ["q_proj"], ExcludeModules = "vision" }));
    }

    [Theory]
    [InlineData(null, 3, 5, 2)]
    [InlineData("layers", 3, 5, 2)]
    [InlineData("layers|blocks", 3, 0, 3)]
    [InlineData("blocks", 0, 0, 1)]
    [InlineData("h", 0, 0, 0)]
    public void Layers_to_transform_counts_in_the_list_of_layers_pattern(string? pattern, int first, int second, int expected)
    {
        var config = new FossilConfig { TargetModules = ["q_proj"], LayersToTransform = [first, second], LayersPattern = pattern?.Split('|') };
        Assert.Equal(expected, Count(config));
    }

    [Fact]
    public void Layers_to_transform_takes_the_first_number_and_not_the_index_of_an_expert()
    {
        var config = new FossilConfig { TargetModules = ["up_proj"], LayersToTransform = [1] };
        Assert.Equal(["model.layers.1.mlp.experts.0.up_proj", "model.layers.1.mlp.experts.1.up_proj"], TargetSelector.Select(config, Model));
    }

    [Fact]
    public void A_whole_path_is_chosen_whatever_layers_to_transform_says()
    {
        var config = new FossilConfig { TargetModules = ["model.layers.1.self_attn.q_proj", "k_proj"], LayersToTransform = [2] };
        Assert.Equal(["model.layers.1.self_attn.q_proj", "model.layers.2.self_attn.k_proj"], TargetSelector.Select(config, Model));
    }

    [Fact]
    public void Modules_that_are_saved_whole_are_not_adapted()
    {
        var config = new FossilConfig { TargetModules = ["q_proj", "lm_head"], ModulesToSave = ["lm_head", "vision"] };
        Assert.Equal(12, Count(config));
        Assert.Equal(["lm_head"], TargetSelector.SelectModulesToSave(config, Model.Select(module => module.Path)));
        Assert.Throws<ConfigurationException>(() => TargetSelector.SelectModulesToSave(new FossilConfig { ModulesToSave = ["score"] }, Model.Select(module => module.Path)));
    }

    [Fact]
    public void The_error_says_which_names_there_are_and_which_fields_took_the_rest_out()
    {
        var nothing = Assert.Throws<ConfigurationException>(() => TargetSelector.Select(new FossilConfig { TargetModules = ["query"], LayersToTransform = [1] }, Model));
        Assert.Contains("query", nothing.Message);
        Assert.Contains("q_proj", nothing.Message);
        Assert.Contains("layers_to_transform is [1]", nothing.Message);
        var excluded = Assert.Throws<ConfigurationException>(() => TargetSelector.Select(new FossilConfig { TargetModules = ["k_proj"], ExcludeModules = ["k_proj"] }, Model));
        Assert.Contains("exclude_modules", excluded.Message);
    }

    [Theory]
    [InlineData("model.layers.1.mlp.down_proj", 2)]
    [InlineData("model.layers.0.mlp.down_proj", 8)]
    [InlineData("model.layers.0.self_attn.q_proj", 4)]
    [InlineData("q_proj", 4)]
    [InlineData("model.xq_proj", 8)]
    [InlineData("model.layers.10.mlp.up_proj", 6)]
    [InlineData("odd[name", 3)]
    public void Patterns_of_ranks_match_the_end_of_the_path_after_a_dot(string path, int expected)
    {
        var patterns = new OrderedDictionary<string, int> { [@"layers\.1\..*down_proj"] = 2, ["q_proj"] = 4, [@"^model\.layers\.10\..*"] = 6, [@"odd\[name"] = 3, [@"layers.*q_proj"] = 5 };
        Assert.Equal(expected, TargetSelector.PatternValue(patterns, path, 8));
    }

    [Fact]
    public void An_expression_that_takes_exponential_time_is_refused()
    {
        var config = new FossilConfig { TargetModules = "(a+)+b" };
        Assert.Throws<ConfigurationException>(() => TargetSelector.Select(config, [new SelectableModule(new string('a', 60), true, false, true)]));
    }

    [Fact]
    public void An_expression_that_breaks_what_stands_around_it_is_named_with_its_field()
    {
        // A comment to the end of the line, which swallows the bracket that PEFT puts after it.
        const string Comment = "(?x)up # all of them";
        foreach (var (field, config) in new (string, AdapterConfig)[]
        {
            ("rank_pattern", new LoraConfig { RankPattern = new Dictionary<string, int> { [Comment] = 2 } }),
            ("alpha_pattern", new LoraConfig { AlphaPattern = new Dictionary<string, double> { [Comment] = 2 } }),
            ("modules_to_save", new LoraConfig { ModulesToSave = [Comment] }),
        })
        {
            using var model = new OneLinear(8, 8);
            var error = Assert.Throws<ConfigurationException>(() => model.AttachAdapters(config));
            Assert.Equal(field, error.Field);
            Assert.StartsWith($"{field}: '{Comment}' is not a regular expression", error.Message);
        }
    }

    [Fact]
    public void A_value_for_one_module_is_refused_by_the_name_of_its_pattern()
    {
        using var model = new OneLinear(8, 8);
        var pissa = new LoraConfig { Rank = 2, InitLoraWeights = LoraInitialization.Pissa };
        Assert.Equal("r", Refused(pissa with { Rank = 9 }));
        Assert.Equal("rank_pattern", Refused(pissa with { RankPattern = new Dictionary<string, int> { ["proj"] = 9 } }));
        Assert.Equal("lora_alpha", Refused(pissa with { Alpha = 0 }));
        Assert.Equal("alpha_pattern", Refused(pissa with { AlphaPattern = new Dictionary<string, double> { ["proj"] = 0 } }));

        string Refused(AdapterConfig config) => Assert.Throws<ConfigurationException>(() => model.AttachAdapters(config)).Field;
    }

    private static int Count(AdapterConfig config)
    {
        try
        {
            return TargetSelector.Select(config, Model).Count;
        }
        catch (ConfigurationException exception) when (exception.Field == "target_modules")
        {
            return 0;
        }
    }
}
