using System.Text;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Tests.Serialization;

public class SafetensorsWriterTests
{
    [Fact]
    public void Tensors_are_ordered_by_dtype_largest_first_and_then_by_name()
    {
        using var scope = NewDisposeScope();
        var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("b", ones(1)), ("a", ones(1)), ("c", ones(1, dtype: ScalarType.Int64)), ("d", ones(1, dtype: ScalarType.Bool)), ("e", ones(1, dtype: ScalarType.Float64))]);
        var header = Header(stream);
        Assert.Equal(
            """{"c":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"e":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},"a":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},"b":{"dtype":"F32","shape":[1],"data_offsets":[20,24]},"d":{"dtype":"BOOL","shape":[1],"data_offsets":[24,25]}}""",
            header.TrimEnd(' '));
        Assert.Equal(0, header.Length % 8);
    }

    [Fact]
    public void Strings_are_escaped_as_serde_json_does()
    {
        using var scope = NewDisposeScope();
        var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("ä\"\\/<\u0001\n\U0001F600\uE000", zeros(0))], [new("k&", "'+")]);
        Assert.StartsWith("{\"__metadata__\":{\"k&\":\"'+\"},\"ä\\\"\\\\/<\\u0001\\n\U0001F600\uE000\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", Header(stream));
    }

    [Fact]
    public void Names_are_compared_by_their_UTF8_bytes()
    {
        using var scope = NewDisposeScope();
        var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("\U0001F600", zeros(0)), ("\uE000", zeros(0))]);
        var header = Header(stream);
        Assert.True(header.IndexOf('\uE000') < header.IndexOf("\U0001F600", StringComparison.Ordinal));
    }

    [Fact]
    public void Views_transposed_and_trained_tensors_are_written_with_their_values()
    {
        using var scope = NewDisposeScope();
        var values = arange(12, dtype: ScalarType.Float32).view(3, 4);
        var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("t", values.t().requires_grad_()), ("n", values.narrow(0, 1, 1))]);
        var expected = new MemoryStream();
        SafetensorsWriter.Write(expected, [("t", values.t().contiguous()), ("n", values.narrow(0, 1, 1).clone())]);
        Assert.Equal(expected.ToArray(), stream.ToArray());
    }

    [Fact]
    public void What_cannot_be_written_is_refused_by_name()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(SafetensorsError.DuplicateName, Error(("a", ones(1)), ("a", ones(1, dtype: ScalarType.Int64))));
        Assert.Equal(SafetensorsError.InvalidName, Error(("__metadata__", ones(1))));
        Assert.Equal(SafetensorsError.InvalidName, Error(("\ud800", ones(1))));
        Assert.Equal(SafetensorsError.UnsupportedDtype, Error(("c", zeros(1, dtype: ScalarType.ComplexFloat64))));
    }

    private static SafetensorsError Error(params (string, Tensor)[] tensors) => Assert.Throws<SafetensorsException>(() => SafetensorsWriter.Write(new MemoryStream(), tensors)).Error;

    private static string Header(MemoryStream stream) => Encoding.UTF8.GetString(stream.ToArray().AsSpan(8, (int)BitConverter.ToUInt64(stream.ToArray())));
}
