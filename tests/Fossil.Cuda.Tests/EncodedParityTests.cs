using Fossil.CompilerServices;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>The kernels for weights that are held as blocks or codes, run as C++ with every access checked, against what the host makes of the same bytes.</summary>
public sealed class EncodedParityTests
{
    private static readonly Dictionary<string, string> Sources = CudaElement.All.ToDictionary(element => element.CudaType, AllFormats);

    public static TheoryData<string, string> Formats()
    {
        var data = new TheoryData<string, string>();
        // Every format in two element types; the third is that of a few.
        foreach (var (number, format) in CudaEncodedFormat.All.Index())
        {
            data.Add(format.Name, "float");
            data.Add(format.Name, SixteenBits(number));
        }
        return data;
    }

    private static string SixteenBits(int number) => number % 5 == 0 ? "float16" : "bfloat16";

    [SkippableTheory]
    [MemberData(nameof(Formats))]
    public void RowsAreTheHostsBitForBit(string format, string type)
    {
        using var scope = NewDisposeScope();
        var (known, dtype) = (CudaEncodedFormat.Find(format)!, CudaElement.All.Single(element => element.CudaType == type).Dtype());
        long columns = known.Columns == 8 ? 136 : 3 * known.Columns, first = known.Columns == 8 ? 24 : known.Columns;
        // Blocks alone know interleaved rows.
        foreach (var headRows in known.Columns == 8 ? [0] : new long[] { 0, 8 })
        {
            var weight = EncodedWeights.Of(format, 16, columns, dtype, headRows: headRows);
            foreach (var numbers in new long[]?[] { null, [15, 0, 3, 3, 9] })
            {
                var (count, row) = numbers is null ? (12L, 3L) : (numbers.Length, 0);
                var expected = numbers is null ? weight.Rows(row, count) : cat([.. numbers.Select(number => weight.Rows(number, 1))]);
                // Rows are apart from each other, in whole vectors.
                var values = full([count, columns - first + 8], float.NaN, dtype: dtype).narrow(1, 0, columns - first);
                var list = numbers is null ? null : tensor(numbers);
                Memory memory = new();
                Run(format, type, CudaEncodedLaunches.Write(memory.Weight(weight.Encoded!), memory.Matrix(values), list is null ? 0 : memory.Address(list), (row, first)), memory);
                Assert.True(expected.narrow(1, first, columns - first).equal(values).all().item<bool>(), $"{format} in {type}, {headRows} rows a head, {(numbers is null ? "in order" : "by number")}");
            }
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Formats))]
    public void FewRowsAreMultipliedFromTheBlocks(string format, string type)
    {
        using var scope = NewDisposeScope();
        var (known, element) = (CudaEncodedFormat.Find(format)!, CudaElement.All.Single(element => element.CudaType == type));
        var (dtype, rounding) = (element.Dtype(), element.CudaType switch { "float" => 1e-6, "float16" => 1.0 / 1024, _ => 1.0 / 128 });
        long columns = known.Columns == 8 ? 264 : known.Columns == 256 ? 512 : 5 * known.Columns, rows = 18;
        var weight = EncodedWeights.Of(format, rows, columns, dtype, headRows: known.Columns == 8 ? 0 : 6);
        // In float32, as the kernels multiply them.
        var factors = EncodedWeights.Of(format, rows, columns, float32, headRows: known.Columns == 8 ? 0 : 6).Rows(0, rows).to(float64);
        foreach (var (count, adds) in new[] { (1, true), (2, false), (3, true), (8, true) })
        {
            var (x, before) = (randn(count, columns).to(dtype), randn(count, rows).to(dtype));
            var y = adds ? before.clone() : full_like(before, float.NaN);
            Memory memory = new();
            Run(format, type, CudaEncodedLaunches.Multiply(memory.Weight(weight.Encoded!), memory.Matrix(x), memory.Matrix(y), adds), memory);
            var product = x.to(float64).mm(factors.t());
            var (expected, size) = (adds ? product + before.to(float64) : product, x.to(float64).abs().mm(factors.abs().t()));
            var worst = ((y.to(float64) - expected).abs() - (expected.abs() * rounding) - (size * 1e-6)).max().item<double>();
            Assert.True(worst <= 0, $"{format} in {type}, {count} rows: off by {worst:g3}");
        }
    }

    /// <summary>bitsandbytes' values have the dtype that the weight had, whatever is computed in.</summary>
    [SkippableTheory]
    [InlineData("float16", "bfloat16")]
    [InlineData("bfloat16", "float")]
    public void ValuesAreRoundedToTheDtypeThatTheWeightHad(string stored, string type)
    {
        using var scope = NewDisposeScope();
        CudaElement rounded = CudaElement.All.Single(element => element.CudaType == stored), computed = CudaElement.All.Single(element => element.CudaType == type);
        var weight = EncodedWeights.Of("FourBits", 4, 128, computed.Dtype(), rounded.Dtype());
        var values = full([4, 128], float.NaN, dtype: computed.Dtype());
        Memory memory = new();
        var found = Emulation.Of(CudaEncodedSource.Of(CudaEncodedFormat.Find("FourBits")!, computed, rounded))
            .Run(CudaEncodedLaunches.Write(memory.Weight(weight.Encoded!), memory.Matrix(values), 0, (0, 0)), memory.Ranges);
        Assert.Null(found);
        Assert.True(weight.Rows(0, 4).equal(values).all().item<bool>());
    }

    private static void Run(string format, string type, CudaLaunch launch, Memory memory)
    {
        var found = Emulation.Of(Sources[type]).Run(launch with { Kernel = $"{launch.Kernel}_{format}" }, memory.Ranges);
        Assert.True(found is null, $"{launch.Kernel} for {format} in {type}: {found}");
    }

    /// <summary>The sources of all formats that are tried with a type as one, each with kernels of its own name: compiled once.</summary>
    private static string AllFormats(CudaElement element)
    {
        var each = CudaEncodedFormat.All.Where((_, number) => element.CudaType == "float" || element.CudaType == SixteenBits(number)).Select(format => (format.Name, Text: CudaEncodedSource.Of(format, element, CudaElement.All[0]))).ToList();
        var start = each[0].Text.IndexOf("\ntypedef ", StringComparison.Ordinal);
        return each[0].Text[..start] + string.Concat(each.Select(one =>
        {
            var text = one.Text[one.Text.IndexOf("\ntypedef ", StringComparison.Ordinal)..];
            var names = KernelSource.KernelsOf(text).ToList();
            foreach (var name in names) text = text.Replace($" {name}(", $" {name}_{one.Name}(", StringComparison.Ordinal);
            return $"\nnamespace of_{one.Name} {{{text}}}\n{string.Concat(names.Select(name => $"using of_{one.Name}::{name}_{one.Name};\n"))}";
        }));
    }

    /// <summary>What a launch may use.</summary>
    private sealed class Memory
    {
        private readonly Dictionary<nint, long> ranges = [];

        public IEnumerable<(nint, long)> Ranges => ranges.Select(range => (range.Key, range.Value));

        public nint Address(Tensor tensor)
        {
            ranges[NativeTensor.Data(tensor)] = (tensor.numel() - 1 + (tensor.dim() < 2 ? 0 : (tensor.shape[0] - 1) * (tensor.stride(0) - tensor.shape[1])) + 1) * tensor.ElementSize;
            return NativeTensor.Data(tensor);
        }

        public CudaMatrix Matrix(Tensor tensor)
        {
            Address(tensor);
            return CudaMatrix.Of(KernelMatrix.Of(tensor));
        }

        public CudaEncoded Weight(EncodedForm form)
        {
            Address(form.Codes);
            if (form.Scales is { } scales) Address(scales.Values.Beside(form.Codes));
            return CudaEncodedKernels.Encoded(form);
        }
    }
}
