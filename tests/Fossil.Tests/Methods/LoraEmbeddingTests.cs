using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Tests.Adapters;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>LoRA on an embedding: row id of the output gains s·B A[:, id].</summary>
public class LoraEmbeddingTests
{
    private const double Close = 1e-5;

    private static readonly LoraConfig OnEmbedding = new() { Rank = 2, Alpha = 6, TargetModules = ["embed"] };

    [Fact]
    public void A_new_adapter_changes_nothing_and_its_parameters_have_PEFTs_names_and_start()
    {
        using var scope = NewDisposeScope();
        using var model = new TiedModel("not tied");
        var basis = model.forward(TiedModel.Tokens()).detach();
        using var adapted = model.AttachAdapters(OnEmbedding);
        var parameters = adapted.TrainableParameters().ToDictionary(entry => entry.Name, entry => entry.Parameter);
        Assert.Equal([2, TiedModel.Vocabulary], parameters["embed.lora_embedding_A.default"].shape);
        Assert.Equal([TiedModel.Width, 2], parameters["embed.lora_embedding_B.default"].shape);
        Assert.Equal(2, parameters.Count);
        Assert.True(parameters["embed.lora_embedding_A.default"].eq(0).all().item<bool>());
        Assert.True(parameters["embed.lora_embedding_B.default"].abs().max().item<float>() > 0);
        Assert.True(basis.equal(model.forward(TiedModel.Tokens())).all().item<bool>());
    }

    [Theory]
    [InlineData(ScalarType.Float32, ScalarType.Int64)]
    [InlineData(ScalarType.Float32, ScalarType.Int32)]
    [InlineData(ScalarType.Float64, ScalarType.Int64)]
    [InlineData(ScalarType.BFloat16, ScalarType.Int64)]
    public void Output_gradients_and_merged_weight_are_those_of_the_formula(ScalarType dtype, ScalarType ids)
    {
        using var scope = NewDisposeScope();
        using var model = new OneEmbedding();
        model.to(dtype);
        using var adapted = model.AttachAdapters(OnEmbedding with { UseRslora = true });
        TinyModel.Randomize(adapted);
        var tokens = TiedModel.Tokens().to(ids);
        var parameters = adapted.TrainableParameters().ToDictionary(entry => entry.Name[6..^8], entry => entry.Parameter);
        var (a, b) = (parameters["lora_embedding_A"].detach().requires_grad_(), parameters["lora_embedding_B"].detach().requires_grad_());
        var weight = model.embed.weight!.detach().clone();
        var scale = 6 / Math.Sqrt(2);
        var (rows, change) = (weight.index_select(0, tokens.flatten()), b.mm(a).t().index_select(0, tokens.flatten()) * scale);
        var expected = (rows + change).to(dtype).view(2, -1, TiedModel.Width);
        var grad = randn_like(expected);
        expected.backward([grad]);

        var output = model.forward(tokens);
        output.backward([grad]);
        var tolerance = dtype == ScalarType.BFloat16 ? 0.01 : Close;
        Assert.Equal(dtype, output.dtype);
        Assert.InRange(Distance.Relative(output, expected.detach()), 0, tolerance);
        Assert.InRange(Distance.Relative(parameters["lora_embedding_A"].grad!, a.grad!), 0, tolerance);
        Assert.InRange(Distance.Relative(parameters["lora_embedding_B"].grad!, b.grad!), 0, tolerance);

        using var noGrad = no_grad();
        adapted.Merge(keepBase: true);
        Assert.InRange(Distance.Relative(model.embed.weight!, (weight + b.mm(a).t() * scale).detach()), 0, tolerance);
        Assert.InRange(Distance.Relative(model.forward(tokens), expected.detach()), 0, tolerance);
        adapted.Unmerge();
        Assert.True(weight.equal(model.embed.weight!).all().item<bool>());
    }

    [Fact]
    public void Several_adapters_add_up_and_rows_can_use_different_ones()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneEmbedding();
        using var adapted = model.AttachAdapters(OnEmbedding, "a");
        adapted.AddAdapter("b", OnEmbedding with { Rank = 3 });
        TinyModel.Randomize(adapted);
        var tokens = TiedModel.Tokens();
        Tensor With(params string[] names)
        {
            adapted.SetAdapter(names);
            return model.forward(tokens);
        }

        var (a, b, both) = (With("a"), With("b"), With("a", "b"));
        Tensor basis;
        using (adapted.DisableAdapters()) basis = model.forward(tokens);
        Assert.InRange(Distance.Relative(both, a + b - basis), 0, Close);
        using (adapted.UseAdapters(["b", null])) Assert.True(cat([b[..1], basis[1..]]).equal(model.forward(tokens)).all().item<bool>());
        using (adapted.UseAdapters(["a", "b"])) Assert.True(cat([a[..1], b[1..]]).equal(model.forward(tokens)).all().item<bool>());
    }

    [Fact]
    public void It_is_saved_under_PEFTs_names_loaded_and_converted_with_the_others()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = new TiedModel("not tied");
        using var adapted = model.AttachAdapters(OnEmbedding with { TargetModules = ["embed", "up"] });
        TinyModel.Randomize(adapted);
        var expected = model.forward(TiedModel.Tokens());
        adapted.SavePretrained(folder["own"]);
        adapted.SaveAsLora(folder["converted"]);
        using (var file = SafetensorsFile.Open(folder[Path.Combine("own", AdapterFile.FileName)]))
            Assert.Equal(["base_model.model.embed.lora_embedding_A", "base_model.model.embed.lora_embedding_B", "base_model.model.up.lora_A.weight", "base_model.model.up.lora_B.weight"], file.Names.Order(StringComparer.Ordinal));
        adapted.ConvertToLora("again");
        adapted.SetAdapter("again");
        Assert.InRange(Distance.Relative(model.forward(TiedModel.Tokens()), expected), 0, Close);
        adapted.Dispose();
        foreach (var name in (string[])["own", "converted"])
        {
            using var loaded = model.LoadPretrained(folder[name]);
            Assert.InRange(Distance.Relative(model.forward(TiedModel.Tokens()), expected), 0, Close);
        }
    }

    [Theory]
    [InlineData(TiedModel.HeadTakesEmbeddings)]
    [InlineData(TiedModel.ByTiedLinear)]
    public void Merging_it_leaves_a_tied_output_layer_alone(string tie)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new TiedModel(tie);
        using var adapted = model.AttachAdapters(OnEmbedding);
        TinyModel.Randomize(adapted);
        var (tokens, head) = (TiedModel.Tokens(), model.HeadWeight.detach().clone());
        var expected = model.forward(tokens);
        adapted.Merge(safe: true);
        Assert.InRange(Distance.Relative(model.forward(tokens), expected), 0, Close);
        Assert.True(head.equal(model.HeadWeight).all().item<bool>());
        adapted.Unmerge();
        Assert.True(model.IsTied);
        Assert.InRange(Distance.Relative(model.forward(tokens), expected), 0, Close);
    }

    [Fact]
    public void What_an_embedding_cannot_have_is_refused_by_name()
    {
        using var model = new TiedModel("not tied");
        Assert.Contains("only LoRA", Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["embed"] })).Message, StringComparison.Ordinal);
        Assert.Contains("DoRA", Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(OnEmbedding with { UseDora = true })).Message, StringComparison.Ordinal);
        using (var plain = model.AttachAdapters()) Assert.DoesNotContain(plain.TrainableParameters(), entry => entry.Name.StartsWith("embed", StringComparison.Ordinal) || entry.Name.StartsWith("head", StringComparison.Ordinal));
        using var adapted = model.AttachAdapters(OnEmbedding);
        Assert.Contains("indices", Assert.Throws<AdapterInputException>(() => model.forward(ones(1, 2))).Message, StringComparison.Ordinal);
        using var tied = new TiedModel(TiedModel.ByTiedLinear);
        var different = new LoraConfig { Rank = 2, TargetModules = ["head"], EnsureWeightTying = true, RankPattern = new OrderedDictionary<string, int> { ["head"] = 3 } };
        Assert.Equal("rank_pattern", Assert.Throws<ConfigurationException>(() => tied.AttachAdapters(different)).Field);
    }
}

/// <summary>An embedding alone.</summary>
[FossilAdapt("embed", OnRequest = true)]
internal sealed partial class OneEmbedding : nn.Module<Tensor, Tensor>
{
    public readonly Embedding embed;

    public OneEmbedding()
        : base(nameof(OneEmbedding))
    {
        random.manual_seed(8);
        embed = nn.Embedding(TiedModel.Vocabulary, TiedModel.Width);
        RegisterComponents();
    }

    public override Tensor forward(Tensor tokens) => embed.forward(tokens);
}
