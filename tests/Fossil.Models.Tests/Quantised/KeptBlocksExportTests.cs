using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>What is written of a decoder over blocks, merged and not, and what adapters train of the base itself.</summary>
public sealed class KeptBlocksExportTests : IDisposable
{
    private static readonly AdapterConfig Config = new FossilConfig { ShardSize = 16, TargetModules = ["q_proj", "v_proj", "down_proj"] };

    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Blocks_are_written_to_GGUF_byte_for_byte()
    {
        using var scope = NewDisposeScope();
        Twins()[0].SaveGguf(folder["again.gguf"], GgufTensorType.F16);
        using var first = GgufFile.Open(folder["model.gguf"]);
        using var again = GgufFile.Open(folder["again.gguf"]);
        Assert.Equal(first.Tensors.Select(tensor => tensor.Name).Order(), again.Tensors.Select(tensor => tensor.Name).Order());
        foreach (var tensor in first.Tensors.Where(tensor => tensor.Shape.Count == 2))
        {
            Assert.Equal(tensor.Type, again.GetInfo(tensor.Name).Type);
            Assert.True(first.LoadBlocks(tensor, mapped: true).equal(again.LoadBlocks(again.GetInfo(tensor.Name), mapped: true)).all().item<bool>(), tensor.Name);
        }

        Assert.Equal(first.Metadata["general.file_type"].Value, again.Metadata["general.file_type"].Value);
    }

    [Fact]
    public void Blocks_that_were_made_here_are_written_in_llama_cpps_order_of_rows()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var model = TinyModels.Create();
        model.QuantizeWeights(WeightQuantization.Q4_0);
        model.SaveGguf(folder["made.gguf"], GgufTensorType.F32);
        var read = LlamaForCausalLM.FromGguf(folder["made.gguf"], keepQuantized: true);
        var tokens = TinyModels.Tokens(1, 9);
        Assert.True(model.forward(tokens).equal(read.forward(tokens)).all().item<bool>());
    }

    [Fact]
    public void A_folder_holds_the_dequantised_weights()
    {
        using var scope = NewDisposeScope();
        var models = Twins();
        models[0].SavePretrained(folder["kept"]);
        models[1].SavePretrained(folder["written"]);
        Assert.Equal(File.ReadAllBytes(Path.Combine(folder["written"], "model.safetensors")), File.ReadAllBytes(Path.Combine(folder["kept"], "model.safetensors")));
    }

    [Theory]
    [InlineData(GgufTensorType.F16)]
    [InlineData(GgufTensorType.Q8_0)]
    [InlineData(GgufTensorType.Q4_0)]
    public void A_merged_export_has_what_the_adapter_changes_and_the_base_stays(GgufTensorType type)
    {
        using var scope = NewDisposeScope();
        var models = Twins();
        var adapters = models.Select(Adapted).ToArray();
        var tokens = TinyModels.Tokens(1, 9);
        var before = models[0].forward(tokens).detach();
        var warnings = CollectedWarnings.During(() => adapters[0].SaveMergedGguf(folder["kept.gguf"], type));
        Assert.Contains(warnings, warning => warning.Contains(type == GgufTensorType.Q4_0 ? "lost in rounding" : "four bits", StringComparison.Ordinal));
        CollectedWarnings.During(() => adapters[1].SaveMergedGguf(folder["written.gguf"], type));
        using var kept = GgufFile.Open(folder["kept.gguf"]);
        using var written = GgufFile.Open(folder["written.gguf"]);
        foreach (var name in new[] { "blk.0.attn_q.weight", "blk.1.attn_v.weight", "blk.1.ffn_down.weight", "output_norm.weight" })
            Assert.True(kept.Load(name).equal(written.Load(name)).all().item<bool>(), name);
        Assert.Equal(GgufTensorType.Q8_0, kept.GetInfo("blk.0.ffn_up.weight").Type);
        Assert.True(models[0].forward(tokens).equal(before).all().item<bool>());
    }

    [Fact]
    public void Merging_is_refused_or_expands_as_the_caller_chooses()
    {
        using var scope = NewDisposeScope();
        var models = Twins();
        var adapters = models.Select(Adapted).ToArray();
        var tokens = TinyModels.Tokens(1, 9);
        Assert.Contains("expandWeights", Assert.Throws<WeightNotChangeableException>(() => adapters[0].Merge()).Message, StringComparison.Ordinal);
        adapters[0].Merge(expandWeights: true);
        adapters[1].Merge();
        Assert.True(models[0].forward(tokens).allclose(models[1].forward(tokens), atol: 1e-4));
        Assert.Contains(models[0].modules().OfType<LinearLayer>(), layer => !layer.IsFloatingPoint);
        adapters[0].Unmerge();
    }

    [Fact]
    public void An_adapter_is_the_same_GGUF_LoRA_whatever_it_was_trained_over()
    {
        using var scope = NewDisposeScope();
        foreach (var (name, model) in new[] { "kept", "written" }.Zip(Twins()))
        {
            using var adapted = Adapted(model);
            adapted.SaveGgufLora(folder[name + ".gguf"], name: "adapter");
        }

        Assert.Equal(File.ReadAllBytes(folder["written.gguf"]), File.ReadAllBytes(folder["kept.gguf"]));
    }

    [Theory]
    [InlineData("embed_tokens")]
    [InlineData("lm_head")]
    public void What_is_trained_whole_becomes_a_floating_point_copy_and_its_size_is_said(string module)
    {
        using var scope = NewDisposeScope();
        var tokens = TinyModels.Tokens(2, 9);
        var losses = new List<double[]>();
        foreach (var model in Twins(isTied: true))
        {
            AdaptedModel? adapted = null;
            var warnings = CollectedWarnings.During(() => adapted = model.AttachAdapters(Config with { ModulesToSave = [module] }));
            if (losses.Count == 0) Assert.Contains(warnings, warning => warning.Contains("modules_to_save", StringComparison.Ordinal) && warning.Contains("MB", StringComparison.Ordinal));
            using var optimizer = adapted!.CreateOptimizer(1e-2);
            losses.Add([.. Enumerable.Range(0, 4).Select(_ =>
            {
                using var step = NewDisposeScope();
                var loss = model.loss(tokens, tokens);
                loss.backward();
                optimizer.step();
                optimizer.zero_grad();
                return (double)loss.item<float>();
            })]);
            adapted.Dispose();
        }

        Assert.Equal(losses[1], losses[0], (one, other) => Math.Abs(one - other) < 1e-4);
        Assert.True(losses[0][^1] < losses[0][0]);
    }

    [Fact]
    public void A_file_that_was_written_to_is_noticed_before_a_save()
    {
        using var scope = NewDisposeScope();
        var model = Twins()[0];
        using var adapted = Adapted(model);
        adapted.SavePretrained(folder["adapter"]);
        File.SetLastWriteTimeUtc(folder["model.gguf"], DateTime.UtcNow.AddHours(-1));
        foreach (var save in (Action[])[() => adapted.SavePretrained(folder["adapter"]), () => model.SaveGguf(folder["other.gguf"]), () => model.SavePretrained(folder["other"]), () => adapted.SaveMergedGguf(folder["other.gguf"])])
            Assert.Equal(folder["model.gguf"], Assert.Throws<MappedFileException>(save).Path);

        // A copy does not depend on the file.
        using var copied = LlamaForCausalLM.FromGguf(folder["model.gguf"], keepQuantized: true, mapped: false);
        File.Delete(folder["model.gguf"]);
        copied.SaveGguf(folder["other.gguf"]);
    }

    public void Dispose() => folder.Dispose();

    private static AdaptedModel Adapted(LlamaForCausalLM model)
    {
        var adapted = model.AttachAdapters(Config);
        using var noGrad = no_grad();
        using var generator = new Generator(3, CPU);
        foreach (var (_, parameter) in model.named_parameters().Where(entry => entry.parameter.requires_grad).OrderBy(entry => entry.name, StringComparer.Ordinal)) parameter.normal_(0, 0.1, generator);
        return adapted;
    }

    /// <summary>The decoder of a Q8_0 file over its blocks, and over its dequantised weights.</summary>
    private LlamaForCausalLM[] Twins(bool isTied = false)
    {
        using (var model = TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = isTied })) model.SaveGguf(folder["model.gguf"], GgufTensorType.Q8_0);
        return [LlamaForCausalLM.FromGguf(folder["model.gguf"], keepQuantized: true), LlamaForCausalLM.FromGguf(folder["model.gguf"])];
    }
}
