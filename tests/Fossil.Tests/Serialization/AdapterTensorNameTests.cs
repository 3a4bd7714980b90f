using Fossil.Serialization;

namespace Fossil.Tests.Serialization;

public class AdapterTensorNameTests
{
    [Theory]
    [InlineData("base_model.model.model.layers.0.q_proj.miss_block", AdapterTensorKind.Adapter, "model.layers.0.q_proj", "miss_block")]
    [InlineData("base_model.model.q_proj.lora_A.weight", AdapterTensorKind.Adapter, "q_proj", "lora_A.weight")]
    [InlineData("base_model.model.q_proj.lora_magnitude_vector", AdapterTensorKind.Adapter, "q_proj", "lora_magnitude_vector")]
    [InlineData("base_model.model.lora_tower.q_proj.lora_B.weight", AdapterTensorKind.Adapter, "lora_tower.q_proj", "lora_B.weight")]
    [InlineData("base_model.model.q_proj.base_layer.bias", AdapterTensorKind.AdaptedBias, "q_proj", "bias")]
    [InlineData("base_model.model.model.norm.bias", AdapterTensorKind.Base, "model.norm", "bias")]
    [InlineData("base_model.model.lm_head.weight", AdapterTensorKind.Base, "lm_head", "weight")]
    [InlineData("base_model.model.model.lora_tower.weight", AdapterTensorKind.Base, "model.lora_tower", "weight")]
    [InlineData("base_model.model.scale", AdapterTensorKind.Base, "", "scale")]
    public void A_key_is_taken_apart_and_put_together_again(string key, AdapterTensorKind kind, string module, string name)
    {
        var parsed = AdapterTensorName.Parse(key);
        Assert.Equal(new AdapterTensorName(kind, module, name), parsed);
        Assert.Equal(key, parsed.ToKey());
    }

    [Fact]
    public void A_key_of_a_Bone_file_becomes_one_of_MiSS() =>
        Assert.Equal("base_model.model.backbone_x.bone_tower.q_proj.miss_block", AdapterTensorName.Parse("base_model.model.backbone_x.bone_tower.q_proj.bone_block").ToKey());
}
