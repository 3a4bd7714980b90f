using CsCheck;

namespace Fossil.TestData;

/// <summary>Property tests over the same samples in every run.</summary>
public static class SeededSamples
{
    /// <summary>Calls <paramref name="property"/> with <paramref name="count"/> values of <paramref name="values"/>, one after the other; a failure names the seed of its value.</summary>
    public static void SampleSeeded<T>(this Gen<T> values, Action<T> property, int count)
    {
        for (var i = 0; i < count; i++) values.Sample(property, seed: new PCG(1, (ulong)i).ToString(), iter: 1, threads: 1);
    }
}
