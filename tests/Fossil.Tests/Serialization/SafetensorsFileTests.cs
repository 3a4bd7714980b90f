using System.Buffers.Binary;
using System.Text;
using Fossil.Serialization;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Tests.Serialization;

public class SafetensorsFileTests
{
    private const string Good = """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""";

    [Theory]
    [InlineData("", SafetensorsError.InvalidJson)]
    [InlineData(" {}", SafetensorsError.InvalidJson)]
    [InlineData("[]", SafetensorsError.InvalidJson)]
    [InlineData("{", SafetensorsError.InvalidJson)]
    [InlineData("{} x", SafetensorsError.InvalidJson)]
    [InlineData("{}{}", SafetensorsError.InvalidJson)]
    [InlineData("""{"\ud800":{}}""", SafetensorsError.InvalidJson)]
    [InlineData("""{"a":1}""", SafetensorsError.InvalidTensorInfo)]
    [InlineData("""{"a":{}}""", SafetensorsError.InvalidTensorInfo)]
    [InlineData("""{"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.InvalidTensorInfo)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", SafetensorsError.InvalidTensorInfo)]
    [InlineData("""{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.UnknownDtype)]
    [InlineData("""{"a":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.UnknownDtype)]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", SafetensorsError.InvalidShape)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", SafetensorsError.InvalidShape)]
    [InlineData("""{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]}}""", SafetensorsError.InvalidShape)]
    [InlineData("""{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}""", SafetensorsError.InvalidShape)]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]}}""", SafetensorsError.ShapeOverflow)]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", SafetensorsError.ShapeOverflow)]
    [InlineData("""{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}""", SafetensorsError.ShapeOverflow)]
    [InlineData("""{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}""", SafetensorsError.ShapeOverflow)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", SafetensorsError.InvalidOffsets)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", SafetensorsError.InvalidOffsets)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""", SafetensorsError.InvalidOffsets)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}""", SafetensorsError.InvalidOffsets)]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", SafetensorsError.SizeMismatch)]
    [InlineData("""{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.SizeMismatch)]
    [InlineData("""{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}""", SafetensorsError.DataTruncated)]
    [InlineData("""{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}""", SafetensorsError.DataTruncated)]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", SafetensorsError.TrailingData)]
    [InlineData("{}", SafetensorsError.TrailingData)]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", SafetensorsError.Gap)]
    [InlineData("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", SafetensorsError.Gap)]
    [InlineData("""{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", SafetensorsError.Overlap)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.Overlap)]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", SafetensorsError.DuplicateName)]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", SafetensorsError.DuplicateName)]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.DuplicateName)]
    [InlineData("""{"__metadata__":{"x":"1","x":"2"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.DuplicateName)]
    [InlineData("""{"__metadata__":{"x":1},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.InvalidMetadata)]
    [InlineData("""{"__metadata__":[],"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", SafetensorsError.InvalidMetadata)]
    public void A_header_that_is_wrong_is_refused_by_name(string header, SafetensorsError expected)
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(expected, OpenFails(folder, Bytes(header, new byte[8])));
    }

    [Fact]
    public void A_length_that_is_wrong_is_refused_before_anything_of_its_size_is_allocated()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(SafetensorsError.FileTooShort, OpenFails(folder, []));
        Assert.Equal(SafetensorsError.FileTooShort, OpenFails(folder, [1, 2, 3, 4, 5, 6, 7]));
        foreach (var length in new ulong[] { 100_000_001, long.MaxValue, ulong.MaxValue }) Assert.Equal(SafetensorsError.HeaderTooLarge, OpenFails(folder, Bytes(Good, new byte[8], length)));
        foreach (var length in new ulong[] { 63, 100_000_000 }) Assert.Equal(SafetensorsError.HeaderTruncated, OpenFails(folder, Bytes(Good, new byte[8], length)));
        Assert.Equal(SafetensorsError.InvalidUtf8, OpenFails(folder, Bytes("{\"\0\":1}", [], null, (byte)0xff)));
    }

    [Fact]
    public void Deep_nesting_and_many_dimensions_are_refused()
    {
        using var folder = new TemporaryFolder();
        var nested = $"{{\"a\":{{\"x\":{new string('[', 100_000)}{new string(']', 100_000)}}}}}";
        Assert.Equal(SafetensorsError.TooDeep, OpenFails(folder, Bytes(nested, [])));
        var ones = string.Join(',', Enumerable.Repeat("1", 65));
        Assert.Equal(SafetensorsError.InvalidShape, OpenFails(folder, Bytes($"{{\"a\":{{\"dtype\":\"U8\",\"shape\":[{ones}],\"data_offsets\":[0,1]}}}}", [0])));
    }

    [Fact]
    public void A_file_that_is_cut_off_anywhere_is_refused()
    {
        using var folder = new TemporaryFolder();
        var bytes = Bytes(Good, new byte[8]);
        for (var length = 0; length < bytes.Length; length++) OpenFails(folder, bytes[..length]);
        OpenFails(folder, [.. bytes, 0]);
    }

    [Fact]
    public void Unknown_fields_padding_and_empty_tensors_are_read()
    {
        using var folder = new TemporaryFolder();
        const string Header = """{"e":{"shape":[0,3],"later":{"x":[1,{}]},"dtype":"I64","data_offsets":[4,4]},"__metadata__":{},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}        """;
        File.WriteAllBytes(folder["x"], Bytes(Header, BitConverter.GetBytes(1.5f)));
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(folder["x"]);
        Assert.Equal(["e", "s"], file.Names);
        Assert.Equal([0, 3], file.Load("e").shape);
        Assert.Equal(1.5, file.Load("s", ScalarType.Float64).item<double>());
        Assert.Empty(file.Metadata!);
        Assert.Equal(SafetensorsError.TensorNotFound, Assert.Throws<SafetensorsException>(() => file.Load("t")).Error);
    }

    [Theory]
    [InlineData("BOOL", 1)]
    [InlineData("U8", 1)]
    [InlineData("I8", 1)]
    [InlineData("F8_E5M2", 1)]
    [InlineData("F8_E4M3", 1)]
    [InlineData("F8_E8M0", 1)]
    [InlineData("F8_E4M3FNUZ", 1)]
    [InlineData("F8_E5M2FNUZ", 1)]
    [InlineData("I16", 2)]
    [InlineData("U16", 2)]
    [InlineData("F16", 2)]
    [InlineData("BF16", 2)]
    [InlineData("I32", 4)]
    [InlineData("U32", 4)]
    [InlineData("F32", 4)]
    [InlineData("C64", 8)]
    [InlineData("F64", 8)]
    [InlineData("I64", 8)]
    [InlineData("U64", 8)]
    public void Every_dtype_that_libtorch_holds_comes_back_with_the_same_bytes(string dtype, int size)
    {
        using var folder = new TemporaryFolder();
        var data = Enumerable.Range(0, 6 * size).Select(index => dtype == "BOOL" ? (byte)(index % 2) : (byte)(index * 37 % 100)).ToArray();
        var header = $"{{\"t\":{{\"dtype\":\"{dtype}\",\"shape\":[2,3],\"data_offsets\":[0,{data.Length}]}}}}";
        var bytes = Bytes(header.PadRight((header.Length + 7) / 8 * 8), data);
        File.WriteAllBytes(folder["x"], bytes);
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(folder["x"]);
        var tensor = file.Load("t");
        var written = new MemoryStream();
        SafetensorsWriter.Write(written, [("t", tensor)]);
        Assert.Equal(bytes, written.ToArray());
        if (dtype != "C64") Assert.True(file.Load("t", ScalarType.Float64).eq(tensor.to(ScalarType.Float64)).all().item<bool>());
    }

    [Theory]
    [InlineData("F8_E4M3", 0x38, 1.0)]
    [InlineData("F8_E5M2", 0x3c, 1.0)]
    [InlineData("U16", 0xffff, 65535.0)]
    [InlineData("U32", 0xffffffff, 4294967295.0)]
    [InlineData("BF16", 0x3f80, 1.0)]
    [InlineData("F16", 0x3c00, 1.0)]
    public void Values_are_converted_as_the_dtype_says(string dtype, long bits, double value)
    {
        using var folder = new TemporaryFolder();
        var size = dtype.StartsWith("F8", StringComparison.Ordinal) ? 1 : dtype == "U32" ? 4 : 2;
        File.WriteAllBytes(folder["x"], Bytes($"{{\"t\":{{\"dtype\":\"{dtype}\",\"shape\":[1],\"data_offsets\":[0,{size}]}}}}", BitConverter.GetBytes(bits)[..size]));
        using var file = SafetensorsFile.Open(folder["x"]);
        using var tensor = file.Load("t", ScalarType.Float64);
        Assert.Equal(value, tensor.item<double>());
    }

    [Theory]
    [InlineData("F4", 3)]
    [InlineData("F6_E2M3", 4)]
    [InlineData("F6_E3M2", 4)]
    public void A_dtype_that_libtorch_cannot_hold_is_refused_when_it_is_loaded(string dtype, int bytes)
    {
        using var folder = new TemporaryFolder();
        var elements = dtype == "F4" ? 6 : 4;
        File.WriteAllBytes(folder["x"], Bytes($"{{\"t\":{{\"dtype\":\"{dtype}\",\"shape\":[{elements}],\"data_offsets\":[0,{(dtype == "F4" ? bytes : 3)}]}}}}", new byte[3]));
        using var file = SafetensorsFile.Open(folder["x"]);
        Assert.Equal(SafetensorsError.UnsupportedDtype, Assert.Throws<SafetensorsException>(() => file.Load("t")).Error);
    }

    [Fact]
    public void Loading_into_a_tensor_converts_and_checks_the_shape()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var values = randn(3, 5);
        SafetensorsWriter.Save(folder["x"], [("t", values)]);
        using var file = SafetensorsFile.Open(folder["x"]);
        var parameter = nn.Parameter(zeros(3, 5, dtype: ScalarType.BFloat16));
        file.LoadInto("t", parameter);
        Assert.True(parameter.eq(values.to(ScalarType.BFloat16)).all().item<bool>());
        var strided = zeros(5, 3).t();
        file.LoadInto("t", strided);
        Assert.True(strided.eq(values).all().item<bool>());
        Assert.Equal(SafetensorsError.ShapeMismatch, Assert.Throws<SafetensorsException>(() => file.LoadInto("t", zeros(5, 3))).Error);
    }

    [Fact]
    public void Tensors_outlive_the_file_and_loading_from_a_closed_one_is_refused()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        SafetensorsWriter.Save(folder["x"], [("t", ones(4))]);
        var file = SafetensorsFile.Open(folder["x"]);
        var tensor = file.Load("t");
        file.Dispose();
        Assert.Equal(4, tensor.sum().item<float>());
        Assert.Throws<ObjectDisposedException>(() => file.Load("t"));
    }

    [Fact]
    public void A_file_can_be_replaced_while_it_is_open()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        SafetensorsWriter.Save(folder["x"], [("t", ones(4))]);
        using var file = SafetensorsFile.Open(folder["x"]);
        SafetensorsWriter.Save(folder["x"], [("t", zeros(4))]);
        Assert.Equal(4, file.Load("t").sum().item<float>());
        using var again = SafetensorsFile.Open(folder["x"]);
        Assert.Equal(0, again.Load("t").sum().item<float>());
    }

    private static byte[] Bytes(string header, byte[] data, ulong? length = null, params byte[] after)
    {
        var json = (byte[])[.. Encoding.UTF8.GetBytes(header), .. after];
        var start = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(start, length ?? (ulong)json.Length);
        return [.. start, .. json, .. data];
    }

    private static SafetensorsError OpenFails(TemporaryFolder folder, byte[] bytes)
    {
        File.WriteAllBytes(folder["x"], bytes);
        var exception = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(folder["x"]).Dispose());
        Assert.Contains(folder["x"], exception.Message);
        return exception.Error;
    }
}
