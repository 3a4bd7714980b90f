namespace Fossil.Llama.Tests;

/// <content>What counts as equal.</content>
internal static partial class Logits
{
    // llama.cpp's sums have another order, and its GELU is a table in half precision.
    private const double Tolerance = 1e-3;

    public static void AssertNear(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.InRange(Distance(expected, actual), 0, Tolerance);
    }
}
