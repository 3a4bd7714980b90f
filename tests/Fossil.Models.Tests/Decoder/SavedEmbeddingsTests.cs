using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Adapter folders that bring embedding and output layer, as PEFT writes them where the vocabulary was resized or they are targets.</summary>
public sealed class SavedEmbeddingsTests : IDisposable
{
    private const string Embedding = "base_model.model.model.embed_tokens.weight", Output = "base_model.model.lm_head.weight";

    private static readonly FossilConfig Projections = new() { ShardSize = 8, TargetModules = ["q_proj"] };

    private readonly TemporaryFolder folder = new();
    private readonly Tensor ids = TinyModels.Tokens(2, 6);

    public void Dispose()
    {
        ids.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_adapter_of_a_resized_model_brings_both_matrices(bool isTied)
    {
        using var scope = NewDisposeScope();
        var expected = SaveResized(isTied, 100);
        Assert.Equal([Output, Embedding], BaseNames());

        using var other = Create(isTied);
        var refused = Assert.Throws<VocabularySizeException>(() => other.LoadPretrained(folder.Path));
        Assert.Equal((100, 96), (refused.FileSize, refused.ModelSize));
        Assert.Contains("weight' is for a vocabulary of 100 tokens", refused.Message);
        Assert.Contains("model.ResizeTokenEmbeddings(100)", refused.Message);

        other.ResizeTokenEmbeddings(100);
        AdaptedModel? adapted = null;
        Assert.Empty(CollectedWarnings.During(() => adapted = other.LoadPretrained(folder.Path)));
        using (adapted)
        {
            AssertSame(expected, other.forward(ids));
            Assert.Equal(isTied, other.Config.TieWordEmbeddings);
            var before = File.ReadAllBytes(folder[AdapterFile.FileName]);
            adapted!.SavePretrained(folder.Path);
            Assert.Equal(before, File.ReadAllBytes(folder[AdapterFile.FileName]));
            adapted.MergeAndUnload();
        }

        AssertSame(expected, other.forward(ids), 1e-4);
    }

    [Fact]
    public void Without_a_resize_they_are_written_where_somebody_asks_and_load_into_a_model_of_the_same_size()
    {
        using var scope = NewDisposeScope();
        Tensor expected;
        using (var model = Create(isTied: false, seed: 5))
        using (var adapted = model.AttachAdapters(Projections))
        {
            Randomize(adapted);
            adapted.SavePretrained(folder.Path);
            Assert.Empty(BaseNames());
            adapted.SavePretrained(folder.Path, saveEmbeddingLayers: true);
            expected = model.forward(ids).detach();
        }

        Assert.Equal([Output, Embedding], BaseNames());
        using var other = Create(isTied: false);
        Copy(from: 5, other);
        var own = other.forward(ids).detach();
        AdaptedModel? loaded = null;
        var warning = Assert.Single(CollectedWarnings.During(() => loaded = other.LoadPretrained(folder.Path)), text => text.Contains("embed_tokens.weight"));
        Assert.Contains("another", warning);
        using (loaded)
        {
            AssertSame(expected, other.forward(ids));
            using (loaded!.DisableAdapters()) AssertSame(own, other.forward(ids), 0);
            loaded.SavePretrained(folder.Path, saveEmbeddingLayers: false);
            Assert.Empty(BaseNames());
        }

        AssertSame(own, other.forward(ids), 0);
    }

    [Fact]
    public void The_model_s_own_matrices_in_a_file_are_no_second_copy()
    {
        using var model = Create(isTied: false);
        using (var adapted = model.AttachAdapters(Projections)) adapted.SavePretrained(folder.Path, saveEmbeddingLayers: true);
        AdaptedModel? loaded = null;
        Assert.Empty(CollectedWarnings.During(() => loaded = model.LoadPretrained(folder.Path)));
        using (loaded)
        {
            loaded!.SavePretrained(folder.Path);
            Assert.Empty(BaseNames());
        }
    }

    [Fact]
    public void Two_adapters_that_bring_the_same_matrices_have_them_each()
    {
        using var scope = NewDisposeScope();
        var expected = SaveResized(isTied: true, 100);
        using var model = Create(isTied: true);
        model.ResizeTokenEmbeddings(100);
        using var adapted = model.LoadPretrained(folder.Path);
        adapted.LoadAdapter(folder.Path, "second");
        adapted.SetAdapter("second");
        AssertSame(expected, model.forward(ids));
        adapted.DeleteAdapter("default");
        AssertSame(expected, model.forward(ids));
    }

    [Fact]
    public void Matrices_that_differ_where_the_model_ties_them_are_both_used()
    {
        using var scope = NewDisposeScope();
        Tensor expected;
        using (var model = Create(isTied: false))
        using (var adapted = model.AttachAdapters(Projections))
        {
            Randomize(adapted);
            adapted.SavePretrained(folder.Path, saveEmbeddingLayers: true);
            expected = model.forward(ids).detach();
        }

        using var tied = Create(isTied: true);
        using var loaded = tied.LoadPretrained(folder.Path);
        AssertSame(expected, tied.forward(ids));
    }

    public static TheoryData<string> OtherSizes() => ["modules_to_save", "lora_embedding", "output_target", "embedding_target"];

    [Theory, MemberData(nameof(OtherSizes))]
    public void Whatever_of_a_file_depends_on_the_vocabulary_names_both_sizes(string kind)
    {
        AdapterConfig config = kind switch
        {
            "modules_to_save" => Projections with { ModulesToSave = ["lm_head"] },
            "lora_embedding" => new LoraConfig { Rank = 4, TargetModules = ["q_proj", "embed_tokens"] },
            "output_target" => new FossilConfig { ShardSize = 8, TargetModules = ["lm_head"] },
            _ => new LoraConfig { Rank = 4, TargetModules = ".*embed_tokens" },
        };
        using (var model = Create(isTied: false))
        {
            model.ResizeTokenEmbeddings(101);
            using var adapted = model.AttachAdapters(config);
            adapted.SavePretrained(folder.Path, saveEmbeddingLayers: false);
        }

        using var other = Create(isTied: false);
        var refused = Assert.Throws<VocabularySizeException>(() => other.LoadPretrained(folder.Path));
        Assert.Equal((101, 96), (refused.FileSize, refused.ModelSize));
        other.ResizeTokenEmbeddings(101);
        using var loaded = other.LoadPretrained(folder.Path);
    }

    private Tensor SaveResized(bool isTied, int size)
    {
        using var model = Create(isTied);
        model.ResizeTokenEmbeddings(size, meanResizing: false);
        using var adapted = model.AttachAdapters(Projections);
        Randomize(adapted);
        adapted.SavePretrained(folder.Path);
        return model.forward(ids).detach();
    }

    private string[] BaseNames()
    {
        using var file = SafetensorsFile.Open(folder[AdapterFile.FileName]);
        return [.. file.Names.Where(name => name.EndsWith("weight", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }

    private static LlamaForCausalLM Create(bool isTied, int seed = 1) => TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = isTied }, seed);

    /// <summary>All but embedding and output layer of a model of that seed.</summary>
    private static void Copy(int from, LlamaForCausalLM to)
    {
        using var noGrad = no_grad();
        using var source = Create(isTied: false, from);
        foreach (var ((name, parameter), (_, own)) in source.named_parameters().Zip(to.named_parameters()))
        {
            if (name is not ("lm_head.weight" or "model.embed_tokens.weight")) own.copy_(parameter);
        }
    }

    private static void Randomize(AdaptedModel adapted)
    {
        using var noGrad = no_grad();
        using var generator = new Generator(3, CPU);
        foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.normal_(0, 0.05, generator);
    }

    private static void AssertSame(Tensor expected, Tensor actual, double tolerance = 1e-5) => Assert.InRange(GoldenDecoderTests.Largest(expected, actual), 0, tolerance);
}
