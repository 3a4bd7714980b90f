using System.Text;
using Fossil.Models.Gguf;

namespace Fossil.Models.Tests.Gguf;

/// <summary>Builds GGUF files byte by byte, damaged ones included, independently of the library's writer.</summary>
internal sealed class GgufBytes
{
    private readonly MemoryStream keys = new();
    private readonly MemoryStream tensors = new();
    private readonly MemoryStream data = new();
    private ulong keyCount;
    private ulong tensorCount;

    public string Magic { get; set; } = "GGUF";

    public uint Version { get; set; } = 3;

    public ulong? KeyCount { get; set; }

    public ulong? TensorCount { get; set; }

    public int Alignment { get; set; } = 32;

    public static byte[] Text(string text) => [.. BitConverter.GetBytes((ulong)Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];

    public static byte[] U32(uint value) => BitConverter.GetBytes(value);

    public static byte[] U64(ulong value) => BitConverter.GetBytes(value);

    public GgufBytes Key(string key, GgufValueType type, params byte[] value) => Key(Text(key), (uint)type, value);

    public GgufBytes Key(byte[] key, uint type, byte[] value)
    {
        keys.Write([.. key, .. U32(type), .. value]);
        keyCount++;
        return this;
    }

    /// <summary>A tensor with dimensions in the file's order, the row's length first; without an offset it follows the previous one.</summary>
    public GgufBytes Tensor(string name, uint type, ulong[] dimensions, byte[] bytes, ulong? offset = null, uint? rank = null)
    {
        tensors.Write([.. Text(name), .. U32(rank ?? (uint)dimensions.Length), .. dimensions.SelectMany(U64), .. U32(type), .. U64(offset ?? (ulong)data.Length)]);
        data.Write(bytes);
        while (data.Length % Alignment != 0) data.WriteByte(0);
        tensorCount++;
        return this;
    }

    public GgufBytes Tensor(string name, GgufTensorType type, ulong[] dimensions, byte[] bytes) => Tensor(name, (uint)type, dimensions, bytes);

    public byte[] Build()
    {
        var file = new MemoryStream();
        file.Write([.. Encoding.ASCII.GetBytes(Magic), .. U32(Version), .. U64(TensorCount ?? tensorCount), .. U64(KeyCount ?? keyCount), .. keys.ToArray(), .. tensors.ToArray()]);
        while (file.Length % Alignment != 0) file.WriteByte(0);
        file.Write(data.ToArray());
        return file.ToArray();
    }

    /// <summary>A small file with values of every kind and a tensor of every type that is dequantised.</summary>
    public static GgufBytes Sample()
    {
        var random = new Random(7);
        byte[] Bytes(int count)
        {
            var bytes = new byte[count];
            random.NextBytes(bytes);
            return bytes;
        }

        byte[] Pair(GgufValueType type, params byte[][] elements) => [.. U32((uint)type), .. U64((ulong)elements.Length), .. elements.SelectMany(e => e)];
        return new GgufBytes()
            .Key("general.architecture", GgufValueType.String, Text("llama"))
            .Key("a.u8", GgufValueType.UInt8, 200)
            .Key("a.i8", GgufValueType.Int8, 200)
            .Key("a.u16", GgufValueType.UInt16, BitConverter.GetBytes((ushort)60_000))
            .Key("a.i16", GgufValueType.Int16, BitConverter.GetBytes((short)-3))
            .Key("a.u32", GgufValueType.UInt32, U32(4_000_000_000))
            .Key("a.i32", GgufValueType.Int32, BitConverter.GetBytes(-5))
            .Key("a.f32", GgufValueType.Float32, BitConverter.GetBytes(1e-5f))
            .Key("a.bool", GgufValueType.Bool, 1)
            .Key("a.u64", GgufValueType.UInt64, U64(ulong.MaxValue))
            .Key("a.i64", GgufValueType.Int64, BitConverter.GetBytes(-7L))
            .Key("a.f64", GgufValueType.Float64, BitConverter.GetBytes(0.1))
            .Key("a.texts", GgufValueType.Array, Pair(GgufValueType.String, Text("é"), Text(""), Text("x")))
            .Key("a.ints", GgufValueType.Array, Pair(GgufValueType.Int32, BitConverter.GetBytes(1), BitConverter.GetBytes(-1)))
            .Key("a.bools", GgufValueType.Array, Pair(GgufValueType.Bool, [1], [0]))
            .Key("a.nested", GgufValueType.Array, Pair(GgufValueType.Array, Pair(GgufValueType.UInt8, [1], [2]), Pair(GgufValueType.UInt8)))
            .Tensor("f32", GgufTensorType.F32, [4, 3], Bytes(48))
            .Tensor("f16", GgufTensorType.F16, [5], Bytes(10))
            .Tensor("bf16", GgufTensorType.BF16, [2, 2, 2], Bytes(16))
            .Tensor("i32", GgufTensorType.I32, [2], Bytes(8))
            .Tensor("q8_0", GgufTensorType.Q8_0, [32, 2], Bytes(68))
            .Tensor("q4_0", GgufTensorType.Q4_0, [64], Bytes(36))
            .Tensor("q4_1", GgufTensorType.Q4_1, [32], Bytes(20))
            .Tensor("q5_0", GgufTensorType.Q5_0, [32], Bytes(22))
            .Tensor("q5_1", GgufTensorType.Q5_1, [32], Bytes(24))
            .Tensor("q4_k", GgufTensorType.Q4_K, [256], Bytes(144))
            .Tensor("q6_k", GgufTensorType.Q6_K, [256, 2], Bytes(420))
            .Tensor("empty", GgufTensorType.F32, [0, 3], []);
    }
}
