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

    public override LinearWeight Encode(ScalarType dtype)
    {
        if (Folder.InfoOf(Name).ByteCount < (elements + 1) / 2) throw Error($"'{Name}' has {Folder.InfoOf(Name).ByteCount} bytes instead of {(elements + 1) / 2}");
        var columns = Shape is [_, var width] ? width : elements;
        var layout = new FourBitLayout(elements / Math.Max(1, columns), columns, Floats(map, 16), Scales(), blockSize, computed);
        return new FourBitWeight(Codes(ScalarType.Byte, Folder.InfoOf(Name).ByteCount), empty(0, dtype: dtype), layout, Folder.StateOf(Name));
    }

    public override void LoadInto(Tensor destination)
    {
        // What is no matrix is one row of its elements.
        using var flat = Shape.Count == 2 ? destination.alias() : destination.view(1, -1);
        base.LoadInto(flat);
    }

    private BlockScales Scales()
    {
        var count = Blocks(elements, blockSize);
        return isNested ? new(Bytes(absmax, count), Floats(nestedMap, 256), Floats(nestedAbsmax, Blocks(count, nestedBlockSize)), nestedBlockSize, nestedOffset) : new(Floats(absmax, count));
    }

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
