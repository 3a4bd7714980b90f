using System.Text.Json.Nodes;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;

namespace Fossil.Models.Tests.Export;

/// <summary>What saving a model into a folder that is in use replaces, and what it leaves alone.</summary>
public sealed class FolderExportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Files_of_an_earlier_save_go_and_the_users_own_stay()
    {
        string[] own = ["model_backup.safetensors", "model-old.safetensors", "model.safetensors.bak", "model-00001-of-00002.safetensors.txt", "adapter_model.safetensors", "notes.txt"];
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path, maxShardBytes: 50_000);
        var parts = Names().Where(name => name.StartsWith("model-0", StringComparison.Ordinal)).ToArray();
        Assert.True(parts.Length > 2);
        foreach (var name in own) File.WriteAllText(folder[name], name);

        model.SavePretrained(folder.Path);
        Assert.Equal([.. own.Append("config.json").Append("model.safetensors").Order(StringComparer.Ordinal)], Names());
        foreach (var name in own) Assert.Equal(name, File.ReadAllText(folder[name]));

        model.SavePretrained(folder.Path, maxShardBytes: 50_000);
        Assert.Equal([.. own.Append("config.json").Append("model.safetensors.index.json").Concat(parts).Order(StringComparer.Ordinal)], Names());
        LlamaForCausalLM.FromPretrained(folder.Path).Dispose();
    }

    [Fact]
    public void What_another_programs_index_names_belongs_to_the_model_that_is_replaced()
    {
        File.WriteAllText(folder["weights-a.safetensors"], "a");
        File.WriteAllText(folder["notes.json"], "{}");
        File.WriteAllText(folder["model.safetensors.index.json"], new JsonObject { ["weight_map"] = new JsonObject { ["x"] = "weights-a.safetensors", ["y"] = "notes.json", ["z"] = "gone.safetensors" } }.ToJsonString());
        using var model = TinyModels.Create();
        model.SavePretrained(folder.Path);
        Assert.Equal(["config.json", "model.safetensors", "notes.json"], Names());
    }

    [Theory]
    [InlineData("""{"weight_map": {"x": "../outside.safetensors"}}""")]
    [InlineData("{\"weight_map\": 3}")]
    [InlineData("no json")]
    public void An_index_that_is_none_is_replaced_and_leads_nowhere(string index)
    {
        using var outer = new TemporaryFolder();
        var (inner, outside) = (Path.Combine(outer.Path, "model"), outer["outside.safetensors"]);
        Directory.CreateDirectory(inner);
        File.WriteAllText(outside, "kept");
        File.WriteAllText(Path.Combine(inner, "model.safetensors.index.json"), index);
        using var model = TinyModels.Create();
        model.SavePretrained(inner);
        Assert.Equal("kept", File.ReadAllText(outside));
        LlamaForCausalLM.FromPretrained(inner).Dispose();
        Assert.False(File.Exists(Path.Combine(inner, "model.safetensors.index.json")));
    }

    public void Dispose() => folder.Dispose();

    private string[] Names() => [.. Directory.EnumerateFiles(folder.Path).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
}
