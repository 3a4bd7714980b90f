using System.Text.Json;
using static TorchSharp.torch;

namespace Fossil.Models.Checkpoints.Quantised;

/// <summary>
/// bitsandbytes' four bits (nf4, fp4): two codes a byte, the first in the high half, that stand for the sixteen values of <c>quant_map</c>; each block of
/// elements is scaled by its <c>absmax</c>. With double quantisation <c>absmax</c> is codes of eight bits itself, with a table, scales and an offset.
/// </summary>
internal sealed class BitsAndBytes4Bit : QuantisedWeight
{
    private const string StateInfix = ".quant_state.bitsandbytes__";
    private const int MostStateBytes = 1 << 16;

    private readonly string absmax, map, nestedAbsmax, nestedMap;
    private readonly long elements, blockSize, nestedBlockSize;
    private readonly float nestedOffset;
    private readonly bool isNested;
    private readonly ScalarType computed;

    private BitsAndBytes4Bit(string name, string state, HuggingFaceFolder folder)
        : base(name, folder)
    {
        (absmax, map, nestedAbsmax, nestedMap) = (name + ".absmax", name + ".quant_map", name + ".nested_absmax", name + ".nested_quant_map");
        if (folder.InfoOf(state).ByteCount is 0 or > MostStateBytes) throw Error($"'{state}' has {folder.InfoOf(state).ByteCount} bytes");
        try
        {
            using var json = JsonDocument.Parse(folder.ReadBytes(state));
            var root = json.RootElement;
            blockSize = Size(root.GetProperty("blocksize"), "blocksize");
            Shape = [.. root.GetProperty("shape").EnumerateArray().Select(dimension => Size(dimension, "shape"))];
            computed = DtypeOf(root.GetProperty("dtype").GetString());
            isNested = root.TryGetProperty("nested_blocksize", out var nested);
            if (isNested)
            {
                nestedBlockSize = Size(nested, "nested_blocksize");
                nestedOffset = root.GetProperty("nested_offset").GetSingle();
            }
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Error($"'{state}' does not describe it: {exception.Message}", exception);
        }

        Companions = isNested ? [state, absmax, map, nestedAbsmax, nestedMap] : [state, absmax, map];
        if (Companions.FirstOrDefault(companion => !folder.Contains(companion)) is { } missing) throw Error($"'{missing}' is missing");
        UInt128 product = Shape.Aggregate((UInt128)1, (total, dimension) => total > long.MaxValue ? total : total * (ulong)dimension);
        if (product > (UInt128)folder.InfoOf(name).ByteCount * 2) throw Error($"it has {folder.InfoOf(name).ByteCount} bytes, too few for shape [{string.Join(", ", Shape)}]");
        elements = (long)product;
        CheckCount(absmax, Blocks(elements, blockSize));
        CheckCount(map, 16);
        if (!isNested) return;
        CheckCount(nestedMap, 256);
        CheckCount(nestedAbsmax, Blocks(Blocks(elements, blockSize), nestedBlockSize));
    }

    public override IReadOnlyList<string> Companions { get; }

    public override IReadOnlyList<long> Shape { get; } = [];

    /// <summary>The weight, where it is one of this kind. Its codes may be stored as any dtype (bnb_4bit_quant_storage); the bytes are what counts.</summary>
    public static QuantisedWeight? Find(string name, HuggingFaceFolder folder) =>
        new[] { "nf4", "fp4" }.Select(kind => name + StateInfix + kind).FirstOrDefault(folder.Contains) is { } state ? new BitsAndBytes4Bit(name, state, folder) : null;

    public override void LoadInto(Tensor destination)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var values = empty([.. Shape], ScalarType.Float32);
        Dequantise(Bytes(Name, (elements + 1) / 2), Floats(map, 16), Scales(), values);

        // bitsandbytes gives the dtype that the weight had, rounded to it.
        destination.copy_(computed == ScalarType.Float32 ? values : values.to(computed));
    }

    private float[] Scales()
    {
        var count = Blocks(elements, blockSize);
        if (!isNested) return Floats(absmax, count);
        var (codes, table, scales) = (Bytes(absmax, count), Floats(nestedMap, 256), Floats(nestedAbsmax, Blocks(count, nestedBlockSize)));
        var result = new float[count];
        for (long i = 0; i < count; i++)
        {
            var scaled = table[codes[i]] * scales[i / nestedBlockSize];
            result[i] = scaled + nestedOffset;
        }

        return result;
    }

    private unsafe void Dequantise(byte[] codes, float[] table, float[] scales, Tensor values)
    {
        using var first = values.view(-1).narrow(0, 0, 1);
        fixed (byte* pointer = first.bytes)
        {
            // By its address, as a lambda cannot hold what is fixed.
            var destination = (nint)pointer;
            var (columns, scalesOfRow) = RowOfScales();
            Parallel.For(0, (int)(elements / columns), row =>
            {
                var to = (float*)destination + (row * columns);
                for (long column = 0, code = row * columns; column < columns; column++, code++)
                {
                    var index = code % 2 == 0 ? codes[code / 2] >> 4 : codes[code / 2] & 0xF;
                    to[column] = table[index] * scales[(row * scalesOfRow) + (column / blockSize)];
                }
            });
        }
    }

    // Blocks run on from row to row, and where rows are whole numbers of blocks, as in nearly every model, that is the same as counting them row by row. Elsewhere
    // bitsandbytes quantises in blocks that run on, but dequantises on a CPU with as many scales a row as there are whole blocks in it; adapters are trained over
    // what it dequantises, so that is what the weight is.
    private (long Columns, long ScalesOfRow) RowOfScales() =>
        Shape.Count == 2 && Shape[1] >= blockSize ? (Shape[1], Shape[1] / blockSize) : (elements, 0);

    private long Size(JsonElement value, string field) =>
        value.TryGetInt64(out var size) && size >= 1 ? size : throw Error($"its {field} is {value}");

    private ScalarType DtypeOf(string? dtype) => dtype switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        "float16" => ScalarType.Float16,
        _ => throw Error($"its dtype is '{dtype}'"),
    };

    private static long Blocks(long count, long block) => (count / block) + (count % block == 0 ? 0 : 1);
}
