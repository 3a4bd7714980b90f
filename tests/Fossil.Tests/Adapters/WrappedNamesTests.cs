using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>Adapter files whose names PyTorch's wrappers, or their writer, changed.</summary>
public sealed class WrappedNamesTests : IDisposable
{
    private const string Prefix = "base_model.model.";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string, string, string> Wrappers() => new()
    {
        { "torch.compile of the PeftModel", Prefix, "_orig_mod." + Prefix },
        { "torch.compile of the base", Prefix, Prefix + "_orig_mod." },
        { "DistributedDataParallel", Prefix, "module." + Prefix },
        { "both", Prefix, "module._orig_mod." + Prefix },
        { "both, the other way round", Prefix, "_orig_mod.module." + Prefix },
        { "DataParallel of the base", Prefix, Prefix + "module." },
        { "FSDP", Prefix, "_fsdp_wrapped_module." + Prefix },
        { "FSDP of each block", "layers.", "layers._fsdp_wrapped_module." },
        { "checkpointing of each block", "layers.0.", "layers.0._checkpoint_wrapped_module." },
        { "Fabric", Prefix, "_forward_module." + Prefix },
        { "PEFT's prefix twice", Prefix, Prefix + Prefix },
        { "a trainer that holds the PeftModel", Prefix, "policy." + Prefix },
        { "no prefix", Prefix, "" },
        { "the adapter's name", "miss_block", "miss_block.default" },
        { "all of it", "miss_block", "miss_block.poems" },
    };

    [Theory, MemberData(nameof(Wrappers))]
    public void Names_of_wrappers_are_read_as_the_model_s(string what, string from, string to)
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var expected = Save(model);
        Rename(key => key.Replace(from, to, StringComparison.Ordinal));
        using var loaded = model.LoadPretrained(folder.Path);
        Assert.True(expected.equal(model.forward(TinyModel.Tokens())).all().item<bool>(), what);
    }

    [Fact]
    public void Names_of_other_methods_are_read_with_the_adapter_s_name_too()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyModel();
        var expected = Save(model, new LoraConfig { Rank = 2, UseDora = true, TargetModules = ["q_proj"] });
        Rename(key => key.Replace("lora_A.weight", "lora_A.default.weight", StringComparison.Ordinal).Replace("lora_B.weight", "lora_B.default.weight", StringComparison.Ordinal)
            .Replace("lora_magnitude_vector", "lora_magnitude_vector.default.weight", StringComparison.Ordinal));
        using var loaded = model.LoadPretrained(folder.Path);
        Assert.True(expected.equal(model.forward(TinyModel.Tokens())).all().item<bool>());
    }

    [Fact]
    public void A_module_of_the_model_may_be_called_like_a_wrapper()
    {
        using var scope = NewDisposeScope();
        using var model = new Wrapping();
        var x = randn(3, 8);
        Tensor expected;
        using (var adapted = model.AttachAdapters())
        {
            TinyModel.Randomize(adapted);
            expected = model.forward(x).detach();
            adapted.SavePretrained(folder.Path);
        }

        using (model.LoadPretrained(folder.Path)) Assert.True(expected.equal(model.forward(x)).all().item<bool>());
        Rename(key => "module." + key);
        using (model.LoadPretrained(folder.Path)) Assert.True(expected.equal(model.forward(x)).all().item<bool>());
        Rename(key => key["module.".Length..].Replace(Prefix, Prefix + "module.", StringComparison.Ordinal));
        using (model.LoadPretrained(folder.Path)) Assert.True(expected.equal(model.forward(x)).all().item<bool>());
    }

    [Fact]
    public void Two_names_of_one_parameter_are_refused_by_the_file_s_names()
    {
        using var model = new TinyModel();
        using (Save(model)) Change(tensors => tensors["module." + tensors.Keys.First()] = tensors.Values.First());
        var refused = Assert.Throws<SafetensorsException>(() => model.LoadPretrained(folder.Path));
        Assert.Equal(SafetensorsError.DuplicateName, refused.Error);
        Assert.Contains("'module.base_model.model.layers.0", refused.Message);
    }

    [Theory]
    [InlineData("base_model.model.layers.", "transformer.layers.", "Without 'transformer.'")]
    [InlineData("base_model.model.layers.", "base_model.model.", "With 'layers.'")]
    [InlineData("miss_block", "modules_to_save.default.miss_block", "state of a whole PeftModel")]
    public void What_is_not_understood_is_shown_by_the_file_s_names_with_a_hint(string from, string to, string hint)
    {
        using var model = new TinyModel();
        Save(model).Dispose();
        string? first = null;
        Rename(key =>
        {
            var renamed = key.Replace(from, to, StringComparison.Ordinal);
            first ??= renamed;
            return renamed;
        });
        var message = Assert.Throws<AdapterFileException>(() => model.LoadPretrained(folder.Path)).Message;
        Assert.Contains(first!, message);
        Assert.Contains(hint, message);
    }

    [Fact]
    public void A_wrong_shape_is_shown_by_the_file_s_name()
    {
        using var model = new TinyModel();
        Save(model).Dispose();
        Change(tensors =>
        {
            var key = tensors.Keys.First();
            tensors["_orig_mod." + key] = zeros(2, 2);
            tensors.Remove(key);
        });
        Assert.Contains("'_orig_mod.base_model.model.layers.0", Assert.Throws<AdapterFileException>(() => model.LoadPretrained(folder.Path)).Message);
    }

    private Tensor Save(TinyModel model, AdapterConfig? config = null)
    {
        using var adapted = config is null ? model.AttachAdapters() : model.AttachAdapters(config);
        TinyModel.Randomize(adapted);
        adapted.SavePretrained(folder.Path);
        return model.forward(TinyModel.Tokens()).detach();
    }

    private void Rename(Func<string, string> rename) => Change(tensors =>
    {
        foreach (var key in tensors.Keys.ToArray())
        {
            if (tensors.Remove(key, out var tensor)) tensors.Add(rename(key), tensor);
        }
    });

    private void Change(Action<Dictionary<string, Tensor>> change)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors;
        using (var file = SafetensorsFile.Open(folder[AdapterFile.FileName])) tensors = file.Names.Order(StringComparer.Ordinal).ToDictionary(name => name, name => file.Load(name));
        change(tensors);
        SafetensorsWriter.Save(folder[AdapterFile.FileName], tensors.Select(entry => (entry.Key, entry.Value)));
    }
}

/// <summary>A model with a module that is called as DistributedDataParallel calls what it wraps.</summary>
internal sealed class Wrapping : nn.Module<Tensor, Tensor>
{
    private readonly TinyBlock module = new(8);

    public Wrapping()
        : base(nameof(Wrapping)) => RegisterComponents();

    public override Tensor forward(Tensor x) => module.forward(x);
}
