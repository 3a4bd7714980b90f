using TorchSharp;

namespace Fossil.Concurrency;

/// <summary>
/// Numbers for libtorch's operations. TorchSharp makes a temporary <see cref="Scalar"/> of a number in <c>x * 2.0</c>, <c>x.add_(y)</c>, <c>a + b</c> and others, and frees it once nothing
/// refers to it: where another thread makes the garbage collector run, that may be while the operation still reads it. These stay.
/// </summary>
internal static class Scalars
{
    /// <summary>More than any expression has at once.</summary>
    private const int KeptPerThread = 64;

    [ThreadStatic]
    private static Scalar?[]? kept;

    [ThreadStatic]
    private static int next;

    public static Scalar Zero { get; } = 0.ToScalar();

    public static Scalar One { get; } = 1.ToScalar();

    public static Scalar Two { get; } = 2.ToScalar();

    /// <summary>The number; valid until this thread has asked for many others.</summary>
    public static Scalar Of(double value) => Keep(value.ToScalar());

    /// <summary>The number, as an integer: it leaves the dtype of an integer tensor alone.</summary>
    public static Scalar Of(long value) => Keep(value.ToScalar());

    private static Scalar Keep(Scalar scalar)
    {
        kept ??= new Scalar?[KeptPerThread];
        ref var place = ref kept[next];
        next = (next + 1) % KeptPerThread;
        place?.Dispose();
        return place = scalar;
    }
}
