using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Decoder;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Export;

/// <summary>Decoders whose output layer and embedding are one matrix, or adapters on either, in files.</summary>
public sealed class TiedExportTests : IDisposable
{
    private const double Close = 1e-4;

    private static readonly LlamaConfig Tied = TinyModels.Config with { TieWordEmbeddings = true };

    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Lora_on_the_embedding_becomes_a_gguf_lora_by_rows_of_tokens()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create();
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 4, Alpha = 12, TargetModules = ["embed_tokens", "lm_head"] });
        Randomize(adapted);
        adapted.SaveGgufLora(folder["adapter.gguf"]);
        var before = adapted.Targets.ToDictionary(target => target.Path, target => target.Weight.detach().clone());
        adapted.Merge();
        using var file = GgufFile.Open(folder["adapter.gguf"]);
        Assert.Equal(4, file.Tensors.Count);
        var scale = file.Metadata.FindNumber("adapter.lora.alpha")!.Value / 4;

        // llama.cpp adds s·b (row of a) to the row of a token, and s·b a to a matrix.
        Assert.InRange(Distance.Relative(before["model.embed_tokens"] + file.Load("token_embd.weight.lora_a").mm(file.Load("token_embd.weight.lora_b").t()) * scale, adapted.Targets.Single(target => target.IsEmbedding).Weight), 0, 1e-6);
        Assert.InRange(Distance.Relative(before["lm_head"] + file.Load("output.weight.lora_b").mm(file.Load("output.weight.lora_a")) * scale, adapted.Targets.Single(target => target.Path == "lm_head").Weight), 0, 1e-6);
    }

    [Theory]
    [InlineData("embed_tokens")]
    [InlineData("lm_head")]
    public void Of_a_tied_model_such_a_gguf_lora_is_refused_and_the_merged_file_is_right(string target)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create(Tied);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 4, TargetModules = [target] });
        Randomize(adapted);
        var tokens = TinyModels.Tokens(1, 6);
        var expected = model.forward(tokens);
        var refusal = Assert.Throws<ExportException>(() => adapted.SaveGgufLora(folder["adapter.gguf"]));
        Assert.Contains("SaveMergedGguf", refusal.Message, StringComparison.Ordinal);
        Assert.True(model.Config.TieWordEmbeddings);
        adapted.SaveMergedGguf(folder["merged.gguf"], GgufTensorType.F32);
        Assert.True(model.Config.TieWordEmbeddings);
        using var loaded = LlamaForCausalLM.FromGguf(folder["merged.gguf"]);
        Assert.False(loaded.Config.TieWordEmbeddings);
        Assert.InRange(Distance.Relative(loaded.forward(tokens), expected), 0, Close);
    }

    [Fact]
    public void An_output_layer_in_the_file_that_is_the_embedding_again_is_tied()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using (var model = TinyModels.Create(Tied))
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 16, TargetModules = ["lm_head"] }))
        {
            // Merged without having learnt anything, the output layer has a weight of its own that is the same.
            adapted.SaveMergedPretrained(folder.Path);
        }

        Assert.False(LlamaConfig.Load(folder[LlamaConfig.FileName]).TieWordEmbeddings);
        (LlamaConfig.Load(folder[LlamaConfig.FileName]) with { TieWordEmbeddings = true }).Save(folder[LlamaConfig.FileName]);
        using var loaded = LlamaForCausalLM.FromPretrained(folder.Path);
        Assert.True(loaded.Config.TieWordEmbeddings);
        Assert.DoesNotContain(loaded.named_parameters(), entry => entry.name == "lm_head.weight");
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float64)]
    public void A_merged_tied_decoder_is_cast_as_a_whole(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create(Tied);
        using var adapted = model.AttachAdapters(new LoraConfig { Rank = 4, TargetModules = ["lm_head", "q_proj"] });
        Randomize(adapted);
        adapted.Merge();
        model.to(dtype);
        Assert.All(model.named_parameters(), entry => Assert.Equal(dtype, entry.parameter.dtype));
        Assert.Equal(dtype, model.forward(TinyModels.Tokens(1, 6)).dtype);
        adapted.Unmerge();
        Assert.True(model.Config.TieWordEmbeddings);
        Assert.Equal(dtype, model.forward(TinyModels.Tokens(1, 6)).dtype);
    }

    public void Dispose() => folder.Dispose();

    private static void Randomize(AdaptedModel adapted)
    {
        random.manual_seed(11);
        foreach (var (_, parameter) in adapted.TrainableParameters())
        {
            using var values = randn(parameter.shape, dtype: parameter.dtype);
            parameter.add_(values, 0.1);
        }
    }
}
