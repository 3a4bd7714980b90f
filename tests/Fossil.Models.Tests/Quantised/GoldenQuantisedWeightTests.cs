using Fossil.Models.Gguf;
using Fossil.Models.Gguf.Blocks;
using Fossil.Serialization;
using Fossil.TestData;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Quantised;

/// <summary>A weight that stays blocks, against its dequantised values: products, gradients and look-ups of every type.</summary>
public class GoldenQuantisedWeightTests
{
    private const int Copies = 400; // More rows than a tile has.

    public static TheoryData<string> Types() => GoldenQuantisedCases.Blocks(onlyWritten: false);

    [SkippableTheory, MemberData(nameof(Types))]
    public void It_computes_what_its_dequantised_values_do(string name)
    {
        using var scope = NewDisposeScope();
        foreach (var order in (HeadOrder[])[default, new(12)])
        {
            var (weight, values) = Weight(name, ScalarType.Float32, order);
            var truth = values.to(ScalarType.Float64);
            Assert.True(weight.ToTensor(ScalarType.Float32).allclose(values, rtol: 1e-6, atol: 0));
            using var generator = new Generator(1, CPU);
            var bias = Random(generator, weight.OutFeatures);
            foreach (var rows in (long[])[1, 2, 5, 8, 9, 33])
            {
                var (input, grad) = (Random(generator, rows, weight.InFeatures).requires_grad_(), Random(generator, rows, weight.OutFeatures));
                var output = weight.Apply(input, bias);
                output.backward([grad]);
                AssertClose(input.detach().to(ScalarType.Float64).mm(truth.t()) + bias, output.detach(), 2e-6);
                // Sums over thousands of rows: libtorch's own product over the written-out weight is the measure.
                var (expected, dense) = (grad.to(ScalarType.Float64).mm(truth), grad.mm(values));
                AssertClose(expected, input.grad!, 5e-6 + (2 * Distance(expected, dense)));
            }

            var ids = tensor(new long[] { 3, 0, weight.OutFeatures - 1, 3 }, 2, 2);
            Assert.True(weight.Lookup(ids).equal(weight.ToTensor(ScalarType.Float32)[ids]).all().item<bool>());
        }
    }

    [SkippableTheory, MemberData(nameof(Types))]
    public void In_bfloat16_it_is_as_exact_as_a_weight_of_bfloat16(string name)
    {
        using var scope = NewDisposeScope();
        var (weight, values) = Weight(name, ScalarType.BFloat16, default);
        using var generator = new Generator(2, CPU);
        var truth = values.to(ScalarType.Float64);
        Assert.True(weight.ToTensor(ScalarType.BFloat16).equal(values.to(ScalarType.BFloat16)).all().item<bool>());
        foreach (var rows in (long[])[1, 4, 8, 40])
        {
            var input = Random(generator, rows, weight.InFeatures).to(ScalarType.BFloat16).requires_grad_();
            var grad = Random(generator, rows, weight.OutFeatures).to(ScalarType.BFloat16);
            var output = weight.Apply(input);
            output.backward([grad]);
            AssertClose(input.detach().to(ScalarType.Float64).mm(truth.t()), output.detach(), 1e-2);
            AssertClose(grad.to(ScalarType.Float64).mm(truth), input.grad!, 1e-2);
        }
    }

    [SkippableTheory, MemberData(nameof(Types))]
    public void In_decoding_a_few_rows_are_no_further_from_the_truth_than_llama_cpps(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var pass = DecodingPass.Enter();
        foreach (var dtype in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
        {
            var (weight, values) = Weight(name, dtype, new(12));
            using var generator = new Generator(3, CPU);
            var truth = values.to(ScalarType.Float64);
            var input = Random(generator, 8, weight.InFeatures).to(dtype);
            var exact = input.to(ScalarType.Float64).mm(truth.t());
            // What rounding x to blocks of eight bits alone does, with scales of sixteen bits; and, in bfloat16, rounding the result.
            var bound = Deviation(exact, RoundedToQ8(input.to(ScalarType.Float64)).mm(truth.t()).to(dtype));
            var all = weight.Apply(input);
            Assert.InRange(Deviation(exact, all), 0, (1.1 * bound) + 1e-6);
            // Each row comes out as it does alone, and as it does in pieces.
            for (var row = 0; row < 8 && weight.Block.Codes is not null; row++) Assert.True(weight.Apply(input.narrow(0, row, 1)).equal(all.narrow(0, row, 1)).all().item<bool>());
            if (dtype == ScalarType.Float32) Assert.Equal(weight.Block.Codes is null, Deviation(exact, all) < bound / 2);
        }
    }

    /// <summary>x as llama.cpp's Q8_0 holds it.</summary>
    private static Tensor RoundedToQ8(Tensor x)
    {
        var blocks = x.view(-1, 32);
        var scales = blocks.abs().amax([1], keepdim: true).div(127);
        return blocks.div(scales).round().mul(scales.to(ScalarType.Float16).to(ScalarType.Float64)).view(x.shape);
    }

    private static double Deviation(Tensor truth, Tensor actual) => ((truth - actual).pow(2).mean().sqrt() / truth.pow(2).mean().sqrt()).item<double>();

    [SkippableFact]
    public void An_index_beyond_the_rows_is_refused()
    {
        using var scope = NewDisposeScope();
        var (weight, _) = Weight("Q8_0", ScalarType.Float32, default);
        foreach (var index in (long[])[-1, weight.OutFeatures]) Assert.Contains($"{index}", Assert.Throws<AdapterInputException>(() => weight.Lookup(tensor(index))).Message, StringComparison.Ordinal);
    }

    /// <summary>The golden blocks as a weight of several tiles, and the values that they stand for in Hugging Face's order.</summary>
    private static (BlockWeight Weight, Tensor Values) Weight(string name, ScalarType dtype, HeadOrder order)
    {
        var golden = GoldenQuantisedCases.Block(name);
        using var reference = SafetensorsFile.Open(GoldenQuantisedCases.PathOf("blocks", name + ".safetensors"));
        var values = reference.Load("values").repeat(Copies, 1);
        var bytes = reference.Load("bytes").view(values.shape[0] / Copies, -1).repeat(Copies, 1);
        var rows = Enumerable.Range(0, (int)values.shape[0]).Select(row => order.InFile(row)).ToArray();
        return (new BlockWeight(bytes, empty(0, dtype), GgufBlock.For((GgufTensorType)(int)golden["ggml_type"]!)!, order), values[tensor(rows)]);
    }

    private static Tensor Random(Generator generator, params long[] shape) => empty(shape).normal_(0, 1, generator);

    private static void AssertClose(Tensor truth, Tensor actual, double tolerance) => Assert.InRange(Distance(truth, actual), 0, tolerance);

    private static double Distance(Tensor truth, Tensor actual) => (truth - actual).abs().max().item<double>() / truth.abs().max().item<double>();
}
