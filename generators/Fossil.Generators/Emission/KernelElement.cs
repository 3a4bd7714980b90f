namespace Fossil.Generators.Emission;

/// <summary>An element type that kernels read and write, and how generated code does it. Arithmetic is in float32 for each.</summary>
/// <param name="Name">The name in TorchSharp's <c>ScalarType</c>.</param>
/// <param name="ClrType">The type that its memory is seen as.</param>
/// <param name="IsFloat">Whether it is float32 itself.</param>
internal sealed record KernelElement(string Name, string ClrType, bool IsFloat)
{
    private const string Lanes = "BFloat16Lanes";

    /// <summary>float32 and bfloat16; a bfloat16 is seen as the upper 16 bits of a float32.</summary>
    public static readonly KernelElement[] All = [new("Float32", "float", true), new("BFloat16", "ushort", false)];

    /// <summary>A vector of float32 from the row at <paramref name="index"/>.</summary>
    public string Load(int bits, string row, string index) => IsFloat ? $"Vector{bits}.LoadUnsafe(ref {row}, {index})" : $"{Lanes}.Load{bits}(ref {row}, {index})";

    /// <summary>Writes a vector of float32 to the row.</summary>
    public string Store(int bits, string vector, string row, string index) =>
        IsFloat ? $"Vector{bits}.StoreUnsafe({vector}, ref {row}, {index})" : $"{Lanes}.Store{bits}({vector}, ref {row}, {index})";

    /// <summary>One element as float32.</summary>
    public string LoadScalar(string row, string index) => IsFloat ? $"Unsafe.Add(ref {row}, {index})" : $"{Lanes}.ToSingle(Unsafe.Add(ref {row}, {index}))";

    /// <summary>Adds a float32 to one element.</summary>
    public string AddScalar(string row, string index, string value) => IsFloat
        ? $"Unsafe.Add(ref {row}, {index}) += {value};"
        : $"Unsafe.Add(ref {row}, {index}) = {Lanes}.FromSingle({LoadScalar(row, index)} + {value});";
}
