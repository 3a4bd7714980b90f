using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>The dtype that a model is loaded in, and those that its files hold.</summary>
public sealed class LoadDtypeTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("float32", ScalarType.Float32)]
    [InlineData("float", ScalarType.Float32)]
    [InlineData("torch.float16", ScalarType.Float16)]
    [InlineData("half", ScalarType.Float16)]
    [InlineData("bfloat16", ScalarType.BFloat16)]
    [InlineData("torch.double", ScalarType.Float64)]
    public void A_dtype_may_be_given_by_its_name(string name, ScalarType expected)
    {
        Save(ScalarType.Float32);
        AssertLoads(expected, name);
        AssertLoads(expected, expected);
        AssertLoads(ScalarType.Float32, null);
    }

    [Theory]
    [InlineData("\"dtype\": \"float16\"", ScalarType.Float16)]
    [InlineData("\"torch_dtype\": \"torch.bfloat16\"", ScalarType.BFloat16)]
    [InlineData("\"torch_dtype\": \"float32\", \"dtype\": \"float64\"", ScalarType.Float64)]
    [InlineData("\"dtype\": null", ScalarType.BFloat16)]
    [InlineData("\"x\": 1", ScalarType.BFloat16)]
    [InlineData("\"dtype\": {\"\": \"float16\", \"vision_config\": \"float32\"}", ScalarType.Float16)]
    [InlineData("\"dtype\": {\"vision_config\": \"float16\"}", ScalarType.Float32)]
    public void Auto_is_what_the_configuration_says_or_else_what_the_file_holds(string stated, ScalarType expected)
    {
        Save(ScalarType.BFloat16, stated);
        AssertLoads(expected, "auto");
        AssertLoads(expected, LoadDtype.Auto);
    }

    [Theory]
    [InlineData("\"dtype\": \"float8_e4m3fn\"", "dtype \"float8_e4m3fn\"")]
    [InlineData("\"torch_dtype\": \"bf16\"", "torch_dtype \"bf16\"")]
    [InlineData("\"torch_dtype\": \"auto\"", "torch_dtype \"auto\"")]
    [InlineData("\"dtype\": 16", "dtype 16, which is no string")]
    public void A_dtype_in_which_no_model_computes_is_named_where_it_counts(string stated, string message)
    {
        Save(ScalarType.BFloat16, stated);
        Assert.Contains(message, Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder["model"], "auto")).Message);
        AssertLoads(ScalarType.Float32, null);
    }

    [Fact]
    public void What_is_asked_for_and_cannot_be_is_an_error_before_anything_is_loaded()
    {
        Save(ScalarType.Float32);
        foreach (var wrong in (LoadDtype[])["bf16", "int8", "", "torch.", ScalarType.Int8, ScalarType.Bool, (ScalarType)24])
            Assert.Contains("bfloat16", Assert.Throws<ArgumentException>(() => AutoModelForCausalLM.FromPretrained(folder["model"], wrong)).Message);
        using var model = TinyModels.Create();
        Assert.Contains("No model is stored", Assert.Throws<ExportException>(() => model.SavePretrained(folder["other"], ScalarType.Int8)).Message);
    }

    [Fact]
    public void A_GGUF_file_is_dequantised_to_float32_unless_asked_otherwise()
    {
        using (var model = TinyModels.Create()) model.SaveGguf(folder["model.gguf"], GgufTensorType.F16);
        using (var loaded = AutoModelForCausalLM.FromGguf(folder["model.gguf"], "auto")) Assert.All(loaded.parameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.dtype));
        using (var loaded = LlamaForCausalLM.FromGguf(folder["model.gguf"], "bfloat16")) Assert.All(loaded.parameters(), parameter => Assert.Equal(ScalarType.BFloat16, parameter.dtype));
    }

    [Theory]
    [InlineData(SafetensorsDtype.F64)]
    [InlineData(SafetensorsDtype.F32)]
    [InlineData(SafetensorsDtype.F16)]
    [InlineData(SafetensorsDtype.BF16)]
    [InlineData(SafetensorsDtype.F8_E4M3)]
    [InlineData(SafetensorsDtype.F8_E5M2)]
    [InlineData(SafetensorsDtype.F8_E4M3FNUZ)]
    [InlineData(SafetensorsDtype.F8_E5M2FNUZ)]
    public void Floats_on_the_disk_are_read_as_the_numbers_that_they_are(SafetensorsDtype stored)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Create();
        model.SavePretrained(folder["model"]);
        var dtype = stored.ToTorch()!.Value;
        Rewrite(tensors =>
        {
            foreach (var name in tensors.Keys) tensors[name] = tensors[name].to(dtype);
        });
        using var loaded = LlamaForCausalLM.FromPretrained(folder["model"]);
        foreach (var ((name, expected), (_, actual)) in model.named_parameters().Zip(loaded.named_parameters()))
            Assert.True(actual.equal(expected.detach().to(dtype).to(float32)).all().item<bool>(), name);
    }

    [Theory]
    [InlineData(ScalarType.Byte, "stored in U8, and nothing beside it says")]
    [InlineData(ScalarType.Int8, "stored in I8, and nothing beside it says")]
    [InlineData((ScalarType)44, "stored in F8_E8M0, and nothing beside it says")]
    [InlineData(ScalarType.Int16, "stored in I16, which holds no weights")]
    [InlineData(ScalarType.Int32, "stored in I32, which holds no weights")]
    [InlineData(ScalarType.Int64, "stored in I64, which holds no weights")]
    [InlineData(ScalarType.Bool, "stored in BOOL, which holds no weights")]
    [InlineData(ScalarType.ComplexFloat32, "stored in C64, which holds no weights")]
    public void What_holds_no_weights_is_not_taken_for_numbers(ScalarType stored, string message)
    {
        using var scope = NewDisposeScope();
        Save(ScalarType.Float32);
        Rewrite(tensors => tensors["model.layers.0.mlp.up_proj.weight"] = zeros([128, 64], dtype: stored));
        var refused = Assert.Throws<CheckpointException>(() => LlamaForCausalLM.FromPretrained(folder["model"])).Message;
        Assert.Contains($"'model.layers.0.mlp.up_proj.weight' is {message}", refused);
    }

    private void Save(ScalarType stored, string? stated = null)
    {
        using var model = TinyModels.Create(dtype: stored);
        model.SavePretrained(folder["model"]);
        if (stated is null) return;
        var path = folder["model/config.json"];
        var lines = File.ReadAllLines(path).Where(line => !line.Contains("\"dtype\"", StringComparison.Ordinal));
        File.WriteAllText(path, string.Join('\n', lines).Replace("{", "{ " + stated + ",", StringComparison.Ordinal).Replace("\"rope_parameters\": { " + stated + ",", "\"rope_parameters\": {", StringComparison.Ordinal));
    }

    private void AssertLoads(ScalarType expected, LoadDtype? dtype)
    {
        using var loaded = LlamaForCausalLM.FromPretrained(folder["model"], dtype);
        Assert.All(loaded.parameters(), parameter => Assert.Equal(expected, parameter.dtype));
    }

    private void Rewrite(Action<Dictionary<string, Tensor>> change)
    {
        Dictionary<string, Tensor> tensors;
        using (var file = SafetensorsFile.Open(folder["model/model.safetensors"])) tensors = file.Names.ToDictionary(name => name, name => file.Load(name));
        change(tensors);
        SafetensorsWriter.Save(folder["model/model.safetensors"], tensors.Select(entry => (entry.Key, entry.Value)));
    }
}
