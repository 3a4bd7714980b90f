using Fossil.Models.Gguf;
using Fossil.TestData;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Decoders that get another number of tokens.</summary>
public sealed class ResizeTokenEmbeddingsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(true, 99)]
    [InlineData(false, 99)]
    [InlineData(true, 90)]
    [InlineData(false, 90)]
    public void Old_tokens_keep_their_rows_and_the_configuration_follows_into_the_files(bool isTied, int size)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = isTied });
        var ids = TinyModels.Tokens(2, 5).remainder(90);
        var before = model.forward(ids).detach();
        Assert.Equal(size, model.ResizeTokenEmbeddings(size));
        Assert.Equal((size, isTied), (model.Config.VocabSize, model.Config.TieWordEmbeddings));
        var after = model.forward(ids);
        Assert.Equal([2, 5, size], after.shape);
        Assert.True(after.narrow(2, 0, 90).allclose(before.narrow(2, 0, 90), 1e-5, 1e-6));
        Assert.Equal(isTied ? 1 : 2, model.named_parameters().Count(entry => entry.parameter.shape[0] == size));

        model.SavePretrained(folder["model"]);
        model.SaveGguf(folder["model.gguf"], GgufTensorType.F32);
        using var loaded = LlamaForCausalLM.FromPretrained(folder["model"]);
        using var fromGguf = LlamaForCausalLM.FromGguf(folder["model.gguf"]);
        foreach (var copy in (LlamaForCausalLM[])[loaded, fromGguf])
        {
            Assert.Equal((size, isTied), (copy.Config.VocabSize, copy.Config.TieWordEmbeddings));
            Assert.True(copy.forward(ids).equal(after).all().item<bool>());
        }
    }

    [Fact]
    public void New_rows_lie_around_the_mean_of_the_old_ones_as_far_as_their_covariance_says()
    {
        const int Added = 4000;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create();
        var old = model.get_parameter("model.embed_tokens.weight")!.detach().clone().to(float64);
        model.ResizeTokenEmbeddings(96 + Added);
        var rows = model.get_parameter("model.embed_tokens.weight")!.narrow(0, 96, Added).to(float64);
        var deviations = rows.sub(old.mean([0], keepdim: true));
        var expected = Covariance(old.sub(old.mean([0], keepdim: true))).mul(1e-9);
        var difference = Covariance(deviations).sub(expected).abs().max().item<double>();
        Assert.InRange(difference / expected.abs().max().item<double>(), 0, 0.15);

        static Tensor Covariance(Tensor centred) => centred.t().matmul(centred).div(centred.shape[0]);
    }

    [Fact]
    public void New_rows_may_be_those_of_a_fresh_model_and_the_size_a_multiple()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Create(dtype: ScalarType.BFloat16);
        Assert.Equal(1024, model.ResizeTokenEmbeddings(1000, padToMultipleOf: 64, meanResizing: false));
        foreach (var name in (string[])["model.embed_tokens.weight", "lm_head.weight"])
        {
            var added = model.get_parameter(name)!.narrow(0, 96, 928);
            Assert.Equal(ScalarType.BFloat16, added.dtype);
            Assert.InRange(added.to(float32).std().item<float>(), 0.14, 0.16);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => model.ResizeTokenEmbeddings(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.ResizeTokenEmbeddings(10, padToMultipleOf: 0));
    }

    [Fact]
    public void A_resized_model_trains_and_follows_to_another_dtype()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Create(TinyModels.Config with { TieWordEmbeddings = true });
        model.ResizeTokenEmbeddings(98);
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 8 });
        var ids = tensor((long[])[97, 4, 96, 5], [1, 4]);
        using var optimizer = adapted.CreateOptimizer(1e-2);
        var losses = new List<float>();
        for (var step = 0; step < 5; step++)
        {
            var loss = model.loss(ids, ids);
            loss.backward();
            optimizer.step();
            optimizer.zero_grad();
            losses.Add(loss.item<float>());
        }

        Assert.True(losses[^1] < losses[0], string.Join(", ", losses));
        model.to(ScalarType.BFloat16);
        Assert.Equal([1, 4, 98], model.forward(ids).shape);
    }

    [Fact]
    public void What_adapters_act_on_is_not_resized()
    {
        using var model = TinyModels.Create();
        using (model.AttachAdapters(new FossilConfig { ShardSize = 8 })) Assert.Equal(97, model.ResizeTokenEmbeddings(97));
        using (model.AttachAdapters(new FossilConfig { ShardSize = 8, TargetModules = ["lm_head"] })) Assert.Contains("act on it", Refused());
        using (model.AttachAdapters(new FossilConfig { ShardSize = 8, ModulesToSave = ["embed_tokens"] })) Assert.Contains("values of their own", Refused());
        Assert.Equal(97, model.Config.VocabSize);

        string Refused() => Assert.Throws<AdapterStateException>(() => model.ResizeTokenEmbeddings(100)).Message;
    }
}
