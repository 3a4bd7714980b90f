using Fossil.TestData;
using Fossil.Tests.Adapters;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Methods;

/// <summary>PiSSA takes over a part of the base weight; whatever does not use the adapter still sees the base, bit for bit.</summary>
public sealed class PissaBaseTests
{
    private const int Rank = 4;

    public static TheoryData<ScalarType, int?> Cases
    {
        get
        {
            var cases = new TheoryData<ScalarType, int?>();
            foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64, ScalarType.Float16 })
            {
                cases.Add(dtype, null);
                cases.Add(dtype, 2);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_does_not_use_the_adapter_sees_the_base(ScalarType dtype, int? iterations)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneLinear(16, 12, dtype: dtype);
        var weight = model.proj.weight.clone();
        var x = randn(3, 16).to(dtype);
        var basis = model.forward(x);

        // q has adapted nothing yet, so its output is the base's; r is PiSSA too.
        var adapted = model.AttachAdapters(Config(iterations), "p");
        adapted.AddAdapter("q", new LoraConfig { Rank = 2 });
        adapted.AddAdapter("r", Config(iterations) with { Rank = 2 });
        TinyModel.Randomize(adapted, "p");
        AssertBits(weight, model.proj.weight);
        using (adapted.DisableAdapters()) AssertBits(basis, model.forward(x));
        using (adapted.UseAdapters(["p", null, "q"]))
        {
            var mixed = model.forward(x);
            AssertClose(basis[1], mixed[1], dtype);
            AssertClose(basis[2], mixed[2], dtype);
            Assert.True(Distance.Relative(mixed[0], basis[0]) > 0.02);
        }

        adapted.SetAdapter("q");
        AssertBits(basis, model.forward(x));
        adapted.SetAdapter("q", "r");
        AssertClose(basis, model.forward(x), dtype);
        adapted.SetAdapter("q");
        adapted.Merge();
        AssertBits(weight, model.proj.weight);
        adapted.Unmerge();
        adapted.DeleteAdapter("r");
        adapted.SetAdapter("p");
        Assert.True(Distance.Relative(model.forward(x), basis) > 0.02);
        adapted.Dispose();
        AssertBits(weight, model.proj.weight);
        AssertBits(basis, model.forward(x));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Two_of_them_add_up_each_from_the_base(bool mixed)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new OneLinear(16, 12);
        using var adapted = model.AttachAdapters(Config(null), "p");
        adapted.AddAdapter("r", Config(3) with { Alpha = 2 });
        TinyModel.Randomize(adapted);
        var x = randn(2, 16);
        var basis = model.Base(x);
        var (p, r) = (With(adapted, model, x, "p") - basis, With(adapted, model, x, "r") - basis);
        Tensor actual;
        if (mixed)
        {
            using (adapted.UseAdapters(["r", "p"])) actual = model.forward(x);
            AssertClose(basis + stack([r[0], p[1]]), actual);
            return;
        }

        AssertClose(basis + p + r, With(adapted, model, x, "p", "r"));
        adapted.Merge();
        AssertClose(basis + p + r, model.Base(x));
    }

    [Fact]
    public void An_adapter_that_is_as_it_started_merges_to_the_base_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(64, 48);
        using var weight = model.proj.weight.detach().clone();
        using var adapted = model.AttachAdapters(Config(null));
        adapted.Merge();
        AssertBits(weight, model.proj.weight);
    }

    /// <summary>PEFT's own form: y = x (W − s·B₀ A₀)ᵀ + s·drop(x) Aᵀ Bᵀ, and for DoRA g ⊙ (…), with its gradients.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 0.5)]
    [InlineData(true, 0)]
    [InlineData(true, 0.5)]
    public void It_computes_what_PEFT_computes_on_the_residual(bool useDora, double dropout)
    {
        using var scope = NewDisposeScope();
        using var model = new OneLinear(16, 12);
        using var adapted = model.AttachAdapters(Config(null) with { UseDora = useDora, Dropout = dropout });
        var layer = adapted.Targets[0].Layers.Single();
        Parameter Of(string kind) => layer.Parameters().Single(entry => entry.Name.Kind == kind).Parameter;
        var residual = model.proj.weight.detach() - (2 * Of("lora_B").detach().mm(Of("lora_A").detach()));
        TinyModel.Randomize(adapted);
        var x = randn(5, 16, requires_grad: true);
        var gradient = randn(5, 12);
        TorchSharp.torch.random.manual_seed(3);
        model.forward(x).backward([gradient]);
        Parameter[] parameters = [.. layer.Parameters().Select(entry => entry.Parameter)];
        Tensor[] actual = [x.grad!.clone(), .. parameters.Select(parameter => parameter.grad!.clone())];
        foreach (var tensor in (Tensor[])[x, .. parameters]) tensor.grad!.zero_();

        TorchSharp.torch.random.manual_seed(3);
        var dropped = Fossil.Kernels.DropoutMask.Draw(dropout, model) is { IsNone: false } mask ? x * mask.For(x) * mask.Scale : x;
        var change = 2 * dropped.mm(Of("lora_A").t()).mm(Of("lora_B").t());
        var expected = x.mm(residual.t()) + model.proj.bias! + change;
        if (useDora)
        {
            var norm = linalg.vector_norm(residual + (2 * Of("lora_B").mm(Of("lora_A"))), dims: [1]).detach();
            var gain = Of("lora_magnitude_vector") / norm;
            expected = x.mm(residual.t()) + model.proj.bias! + ((gain - 1) * dropped.mm(residual.t())) + (gain * change);
        }

        TorchSharp.torch.random.manual_seed(3);
        AssertClose(expected.detach(), model.forward(x).detach());
        expected.backward([gradient]);
        Tensor[] truth = [x.grad!, .. parameters.Select(parameter => parameter.grad!)];
        for (var i = 0; i < truth.Length; i++) Assert.True(Distance.Relative(actual[i], truth[i]) < 5e-6, $"gradient {i} is {Distance.Relative(actual[i], truth[i]):E2} off");
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float64)]
    public void It_is_merged_converted_and_saved_as_LoRA_as_it_computes(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = new OneLinear(16, 12, dtype: dtype);
        using var adapted = model.AttachAdapters(Config(null), "p");
        TinyModel.Randomize(adapted);
        var x = randn(3, 16).to(dtype);
        var (expected, weight) = (model.forward(x), model.proj.weight.clone());
        adapted.Merge();
        AssertClose(expected, model.Base(x), dtype);
        adapted.Unmerge();
        AssertBits(weight, model.proj.weight);
        adapted.ConvertToLora("converted", "p");
        Assert.Equal(2 * Rank, Assert.IsType<LoraConfig>(adapted.GetConfig("converted")).Rank);
        AssertClose(expected, With(adapted, model, x, "converted"), dtype);
        foreach (var save in new Action<string>[] { path => adapted.SaveAsLora(path, "p"), path => adapted.SavePissaAsLora(path, "p"), path => adapted.SavePretrained(path, "p") })
        {
            save(folder.Path);
            adapted.LoadAdapter(folder.Path, "loaded");
            AssertClose(expected, With(adapted, model, x, "loaded"), dtype);
            adapted.SetAdapter("p");
            adapted.DeleteAdapter("loaded");
        }
    }

    /// <summary><c>.to</c> takes the start along, and a state_dict holds it.</summary>
    [Fact]
    public void Its_start_moves_and_is_saved_with_the_model()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = new OneLinear(16, 12);
        using var adapted = model.AttachAdapters(Config(1));
        TinyModel.Randomize(adapted);
        var x = randn(3, 16);
        var expected = model.forward(x);
        model.save(folder["model.dat"]);
        using var other = new OneLinear(16, 12);
        using var again = other.AttachAdapters(Config(1));
        other.load(folder["model.dat"]);
        AssertBits(expected, other.forward(x));

        using (NewDisposeScope()) model.to(ScalarType.Float64);
        AssertClose(expected.to(ScalarType.Float64), model.forward(x.to(ScalarType.Float64)));
    }

    private static LoraConfig Config(int? iterations) =>
        new() { Rank = Rank, Alpha = 2 * Rank, InitLoraWeights = iterations is { } count ? LoraInitialization.PissaWithIterations(count) : LoraInitialization.Pissa };

    private static Tensor With(AdaptedModel adapted, OneLinear model, Tensor x, params string[] adapters)
    {
        adapted.SetAdapter(adapters);
        return model.forward(x);
    }

    private static void AssertBits(Tensor expected, Tensor actual) => Assert.True(expected.equal(actual).all().item<bool>(), $"They differ by {Distance.Relative(actual, expected):E2}.");

    private static void AssertClose(Tensor expected, Tensor actual, ScalarType dtype = ScalarType.Float32)
    {
        var tolerance = dtype switch { ScalarType.BFloat16 => 1e-2, ScalarType.Float16 => 2e-3, _ => 2e-6 };
        Assert.True(Distance.Relative(actual, expected) <= tolerance, $"They differ by {Distance.Relative(actual, expected):E2}.");
    }
}
