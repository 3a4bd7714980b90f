using System.Text.Json.Nodes;
using Fossil.TestData;

namespace Fossil.Tests.Configuration;

public class GoldenAdapterConfigTests
{
    public static TheoryData<string, string> Adapters => GoldenCases.AdapterNames();

    public static TheoryData<string> Layers => GoldenCases.LayerNames();

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void A_saved_configuration_has_the_same_values(string model, string name)
    {
        var adapter = GoldenCases.Adapter(model, name);
        using var folder = new TemporaryFolder();
        adapter.Config().Save(folder.Path);
        var saved = JsonNode.Parse(File.ReadAllText(folder[AdapterConfig.FileName]));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(File.ReadAllText(adapter.ConfigFile)), saved), saved!.ToJsonString());
    }

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void A_configuration_that_is_read_and_written_is_the_same_text(string model, string name)
    {
        var adapter = GoldenCases.Adapter(model, name);
        Assert.Equal(File.ReadAllText(adapter.ConfigFile), adapter.Config().ToJson());
    }

    [SkippableTheory]
    [MemberData(nameof(Adapters))]
    public void A_configuration_that_is_written_anew_has_every_field_of_PEFT(string model, string name)
    {
        var adapter = GoldenCases.Adapter(model, name);
        var json = JsonNode.Parse(File.ReadAllText(adapter.ConfigFile))!.AsObject();
        AdapterConfig fresh = adapter.Config() is LoraConfig ? new LoraConfig() : new FossilConfig();
        Assert.Equal(json.Select(field => field.Key), JsonNode.Parse(fresh.ToJson())!.AsObject().Select(field => field.Key));
    }

    [SkippableTheory]
    [MemberData(nameof(Layers))]
    public void The_settings_of_a_layer_case_are_a_configuration(string name)
    {
        var layer = GoldenCases.Layer(name);
        foreach (var (adapter, settings) in layer.Adapters)
        {
            var config = layer.Config(adapter);
            Assert.Equal((string)settings["peft_type"]!, config.PeftType);
            Assert.Equal((int)settings["r"]!, config is LoraConfig lora ? lora.Rank : ((FossilConfig)config).ShardSize);
        }
    }

    [SkippableFact]
    public void A_legacy_Bone_configuration_becomes_one_of_MiSS()
    {
        foreach (var file in Directory.EnumerateFiles(DataFolders.RequireGolden(), AdapterConfig.FileName, SearchOption.AllDirectories))
        {
            var old = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
            if ((string?)old["peft_type"] != "BONE") continue;
            var config = Assert.IsType<FossilConfig>(AdapterConfig.Load(file));
            Assert.Equal(FossilVariant.Balance, config.Variant);
            old["peft_type"] = "MISS";
            Assert.True(JsonNode.DeepEquals(old, JsonNode.Parse(config.ToJson())), config.ToJson());
        }
    }
}
