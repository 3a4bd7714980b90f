using Fossil.Models.Gguf;
using Fossil.TestData;
using static TorchSharp.torch;
using Bytes = Fossil.Models.Tests.Gguf.GgufBytes;

namespace Fossil.Models.Tests.Gguf;

public sealed class GgufFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void A_folder_in_place_of_a_file_is_said_to_be_one() => Assert.Contains("is a folder", Assert.Throws<IOException>(() => LlamaForCausalLM.FromGguf(folder[""])).Message);

    public static TheoryData<GgufError, string> Damages() => new()
    {
        { GgufError.NotGguf, "magic" },
        { GgufError.NotGguf, "empty" },
        { GgufError.UnsupportedVersion, "version 1" },
        { GgufError.BigEndian, "big-endian" },
        { GgufError.Truncated, "cut in the counts" },
        { GgufError.CountTooLarge, "too many keys" },
        { GgufError.CountTooLarge, "too many tensors" },
        { GgufError.LengthTooLarge, "long key" },
        { GgufError.LengthTooLarge, "long array" },
        { GgufError.InvalidUtf8, "key not UTF-8" },
        { GgufError.InvalidBoolean, "boolean 2" },
        { GgufError.UnknownValueType, "value type 13" },
        { GgufError.TooDeep, "nested arrays" },
        { GgufError.InvalidName, "key twice" },
        { GgufError.InvalidName, "tensor twice" },
        { GgufError.InvalidAlignment, "alignment 0" },
        { GgufError.InvalidAlignment, "alignment 48" },
        { GgufError.InvalidAlignment, "alignment of another type" },
        { GgufError.UnknownTensorType, "tensor type 4" },
        { GgufError.InvalidShape, "no dimensions" },
        { GgufError.InvalidShape, "five dimensions" },
        { GgufError.InvalidShape, "half a block" },
        { GgufError.ShapeOverflow, "huge shape" },
        { GgufError.ShapeOverflow, "huge dimension" },
        { GgufError.MisalignedOffset, "offset 8" },
        { GgufError.Overlap, "same offset" },
        { GgufError.DataTruncated, "offset behind the end" },
        { GgufError.DataTruncated, "offset near 2^64" },
        { GgufError.DataTruncated, "cut in the data" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void A_damaged_file_is_a_named_error(GgufError expected, string damage)
    {
        var path = Write(Damaged(damage));
        var exception = Assert.Throws<GgufException>(() => GgufFile.Open(path).Dispose());
        Assert.Equal(expected, exception.Error);
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_claimed_length_is_compared_with_the_file_before_anything_is_allocated()
    {
        var path = Write(new Bytes().Key("k", GgufValueType.Array, [.. Bytes.U32((uint)GgufValueType.UInt8), .. Bytes.U64(2_000_000_000)]).Build());
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<GgufException>(() => GgufFile.Open(path).Dispose());
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
    }

    [Fact]
    public void Metadata_keeps_types_and_order()
    {
        using var file = GgufFile.Open(Write(Bytes.Sample().Build()));
        var metadata = file.Metadata;
        Assert.Equal(["general.architecture", "a.u8", "a.i8", "a.u16", "a.i16", "a.u32", "a.i32", "a.f32", "a.bool", "a.u64", "a.i64", "a.f64", "a.texts", "a.ints", "a.bools", "a.nested"], metadata.Select(pair => pair.Key));
        Assert.Equal((byte)200, metadata["a.u8"].Value);
        Assert.Equal((sbyte)-56, metadata["a.i8"].Value);
        Assert.Equal((ushort)60_000, metadata["a.u16"].Value);
        Assert.Equal((short)-3, metadata["a.i16"].Value);
        Assert.Equal(4_000_000_000u, metadata["a.u32"].Value);
        Assert.Equal(-5, metadata["a.i32"].Value);
        Assert.Equal(1e-5, metadata.FindNumber("a.f32"));
        Assert.True(metadata.FindBoolean("a.bool"));
        Assert.Equal(ulong.MaxValue, metadata["a.u64"].Value);
        Assert.Equal(-7L, metadata["a.i64"].Value);
        Assert.Equal(0.1, metadata.FindNumber("a.f64"));
        Assert.Equal(["é", "", "x"], metadata.FindStrings("a.texts")!);
        Assert.Equal([1, -1], (int[])metadata["a.ints"].Value);
        Assert.Equal([true, false], (bool[])metadata["a.bools"].Value);
        Assert.Equal([GgufValue.OfArray(new byte[] { 1, 2 }), GgufValue.OfArray(Array.Empty<byte>())], (GgufValue[])metadata["a.nested"].Value);
    }

    [Fact]
    public void A_value_of_another_type_is_a_named_error()
    {
        using var file = GgufFile.Open(Write(Bytes.Sample().Build()));
        Assert.Equal(GgufError.InvalidValue, Assert.Throws<GgufException>(() => file.Metadata.FindString("a.u8")).Error);
        Assert.Equal(GgufError.InvalidValue, Assert.Throws<GgufException>(() => file.Metadata.FindCount("a.i32")).Error);
        Assert.Equal(GgufError.InvalidValue, Assert.Throws<GgufException>(() => file.Metadata.FindCount("a.u64")).Error);
        Assert.Equal(GgufError.KeyNotFound, Assert.Throws<GgufException>(() => file.Metadata.GetString("a.missing")).Error);
    }

    [Fact]
    public void Plain_tensors_are_copied_and_converted()
    {
        float[] values = [1.5f, -2, 1e-3f, 65504, 0.33333f, 1e30f];
        var path = Write(new Bytes()
            .Tensor("f32", GgufTensorType.F32, [3, 2], [.. values.SelectMany(BitConverter.GetBytes)])
            .Tensor("f16", GgufTensorType.F16, [3], [.. values.Take(3).SelectMany(v => BitConverter.GetBytes((Half)v))]).Build());
        using var scope = NewDisposeScope();
        using var file = GgufFile.Open(path);
        using var loaded = file.Load("f32");
        Assert.Equal([2L, 3L], loaded.shape);
        Assert.Equal(values, loaded.data<float>().ToArray());
        Assert.True(file.Load("f32", ScalarType.BFloat16).Equals(loaded.to(ScalarType.BFloat16)));
        Assert.Equal(values.Take(3).Select(v => (float)(Half)v), file.Load("f16", ScalarType.Float32).data<float>().ToArray());
        Assert.Equal(GgufError.ShapeMismatch, Assert.Throws<GgufException>(() => file.LoadInto("f32", empty(3, 2))).Error);
        Assert.Equal(GgufError.TensorNotFound, Assert.Throws<GgufException>(() => file.Load("f64")).Error);
    }

    [Fact]
    public void A_type_that_is_not_dequantised_is_a_named_error()
    {
        using var file = GgufFile.Open(Write(new Bytes().Tensor("t", GgufTensorType.Q8_K, [256], new byte[292]).Build()));
        var exception = Assert.Throws<GgufException>(() => file.Load("t"));
        Assert.Equal(GgufError.UnsupportedTensorType, exception.Error);
        Assert.Contains("Q8_K", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Interleaved_rows_are_put_back_into_the_order_of_halves(ScalarType dtype)
    {
        // Two heads of four rows of two elements; llama.cpp's order is 0 2 1 3.
        float[] stored = [0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7];
        using var scope = NewDisposeScope();
        using var file = GgufFile.Open(Write(new Bytes().Tensor("q", GgufTensorType.F32, [2, 8], [.. stored.SelectMany(BitConverter.GetBytes)]).Build()));
        using var loaded = empty(8, 2, dtype: dtype);
        file.LoadInto("q", loaded, heads: 2);
        Assert.Equal(Enumerable.Range(0, 16).Select(i => (double)(i / 2)), loaded.to(ScalarType.Float64).data<double>().ToArray());
        Assert.Equal(GgufError.InvalidShape, Assert.Throws<GgufException>(() => file.LoadInto("q", loaded, heads: 3)).Error);
    }

    [Fact]
    public void A_tensor_longer_than_a_chunk_equals_its_pieces()
    {
        const int Blocks = 140_000;
        var bytes = new byte[Blocks * 34];
        var random = new Random(3);
        random.NextBytes(bytes);
        for (var block = 0; block < Blocks; block++) BitConverter.TryWriteBytes(bytes.AsSpan(block * 34), (Half)random.NextSingle());
        using var scope = NewDisposeScope();
        using var file = GgufFile.Open(Write(new Bytes().Tensor("t", GgufTensorType.Q8_0, [32, Blocks], bytes).Build()));
        var exact = file.Load("t");
        Assert.True(file.Load("t", ScalarType.BFloat16).Equals(exact.to(ScalarType.BFloat16)));
        var expected = new float[32];
        for (var i = 0; i < 32; i++) expected[i] = (sbyte)bytes[^(32 - i)] * (float)BitConverter.ToHalf(bytes, bytes.Length - 34);
        Assert.Equal(expected, exact[Blocks - 1].data<float>().ToArray());
    }

    public void Dispose() => folder.Dispose();

    private string Write(byte[] bytes)
    {
        var path = folder["model.gguf"];
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private static byte[] Damaged(string damage)
    {
        static byte[] Nested(int depth) => depth == 0 ? [.. Bytes.U32((uint)GgufValueType.UInt8), .. Bytes.U64(0)] : [.. Bytes.U32((uint)GgufValueType.Array), .. Bytes.U64(1), .. Nested(depth - 1)];
        var f32 = (uint)GgufTensorType.F32;
        return damage switch
        {
            "magic" => new Bytes { Magic = "GGML" }.Build(),
            "empty" => [],
            "version 1" => new Bytes { Version = 1 }.Build(),
            "big-endian" => new Bytes { Version = 3 << 24 }.Build(),
            "cut in the counts" => new Bytes().Build()[..20],
            "too many keys" => new Bytes { KeyCount = ulong.MaxValue }.Build(),
            "too many tensors" => new Bytes { TensorCount = 1UL << 60 }.Build(),
            "long key" => new Bytes().Key(Bytes.U64(1UL << 40), 0, new byte[64]).Build(),
            "long array" => new Bytes().Key("k", GgufValueType.Array, [.. Bytes.U32((uint)GgufValueType.Float64), .. Bytes.U64(ulong.MaxValue / 8 + 1)]).Build(),
            "key not UTF-8" => new Bytes().Key([.. Bytes.U64(2), 0xC3, 0x28], 0, [1]).Build(),
            "boolean 2" => new Bytes().Key("k", GgufValueType.Bool, 2).Build(),
            "value type 13" => new Bytes().Key("k", (GgufValueType)13, 1).Build(),
            "nested arrays" => new Bytes().Key("k", GgufValueType.Array, Nested(100)).Build(),
            "key twice" => new Bytes().Key("k", GgufValueType.UInt8, 1).Key("k", GgufValueType.UInt8, 1).Build(),
            "tensor twice" => new Bytes().Tensor("t", f32, [1], new byte[4]).Tensor("t", f32, [1], new byte[4]).Build(),
            "alignment 0" => new Bytes().Key("general.alignment", GgufValueType.UInt32, Bytes.U32(0)).Build(),
            "alignment 48" => new Bytes().Key("general.alignment", GgufValueType.UInt32, Bytes.U32(48)).Build(),
            "alignment of another type" => new Bytes().Key("general.alignment", GgufValueType.UInt64, Bytes.U64(32)).Build(),
            "tensor type 4" => new Bytes().Tensor("t", 4, [32], new byte[64]).Build(),
            "no dimensions" => new Bytes().Tensor("t", f32, [], new byte[4]).Build(),
            "five dimensions" => new Bytes().Tensor("t", f32, [1, 1, 1, 1, 1], new byte[4]).Build(),
            "half a block" => new Bytes().Tensor("t", GgufTensorType.Q8_0, [48], new byte[68]).Build(),
            "huge shape" => new Bytes().Tensor("t", f32, [1UL << 40, 1UL << 40], new byte[4]).Build(),
            "huge dimension" => new Bytes().Tensor("t", f32, [ulong.MaxValue], new byte[4]).Build(),
            "offset 8" => new Bytes().Tensor("t", f32, [1], new byte[64], offset: 8).Build(),
            "same offset" => new Bytes().Tensor("s", f32, [8], new byte[32]).Tensor("t", f32, [8], new byte[32], offset: 0).Build(),
            "offset behind the end" => new Bytes().Tensor("t", f32, [8], new byte[32], offset: 64).Build(),
            "offset near 2^64" => new Bytes().Tensor("t", f32, [8], new byte[32], offset: ulong.MaxValue - 31).Build(),
            "cut in the data" => new Bytes().Tensor("t", f32, [64], new byte[256]).Build()[..^32],
            _ => throw new ArgumentOutOfRangeException(nameof(damage), damage, null),
        };
    }
}
