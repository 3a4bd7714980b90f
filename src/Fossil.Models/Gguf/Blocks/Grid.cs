using System.Numerics;

namespace Fossil.Models.Gguf.Blocks;

/// <summary>A grid of a type: each entry is four or eight elements, without scale and sign.</summary>
internal sealed unsafe class Grid
{
    private readonly int length;
    private readonly float[] entries;

    /// <summary>Unpacks a grid.</summary>
    /// <param name="packed">The entries; an entry's first element is in its lowest bits.</param>
    /// <param name="length">Elements of an entry.</param>
    /// <param name="levels">What the elements' codes stand for: of two bits where there are at most four, else of three.</param>
    public Grid(ReadOnlySpan<ushort> packed, int length, ReadOnlySpan<sbyte> levels)
    {
        this.length = length;
        entries = new float[packed.Length * length];
        var bits = levels.Length <= 4 ? 2 : 3;
        for (var i = 0; i < entries.Length; i++) entries[i] = levels[packed[i / length] >> (i % length * bits) & ((1 << bits) - 1)];
    }

    /// <summary>scale · element, negative where its sign's bit is set.</summary>
    public void Store(int entry, int signs, float scale, float* values)
    {
        var from = entries.AsSpan(entry * length, length);
        for (var i = 0; i < from.Length; i++)
        {
            var value = scale * from[i];
            values[i] = (signs >> i & 1) == 0 ? value : -value;
        }
    }

    /// <summary>scale · (element ± 1/8).</summary>
    public void StoreShifted(int entry, bool isDown, float scale, float* values)
    {
        var from = entries.AsSpan(entry * length, length);
        var shift = isDown ? -0.125f : 0.125f;
        for (var i = 0; i < from.Length; i++) values[i] = scale * (from[i] + shift);
    }
}

/// <summary>The grids, unpacked when they are first used, and the signs that are stored in seven bits.</summary>
internal static class Grids
{
    public static Grid IQ1 { get; } = new(GridTables.IQ1, 8, [-1, 0, 1]);

    public static Grid IQ2_XXS { get; } = new(GridTables.IQ2_XXS, 8, [8, 25, 43]);

    public static Grid IQ2_XS { get; } = new(GridTables.IQ2_XS, 8, [8, 25, 43]);

    public static Grid IQ2_S { get; } = new(GridTables.IQ2_S, 8, [8, 25, 43]);

    public static Grid IQ3_XXS { get; } = new(GridTables.IQ3_XXS, 4, [4, 12, 20, 28, 36, 44, 52, 62]);

    public static Grid IQ3_S { get; } = new(GridTables.IQ3_S, 4, [1, 3, 5, 7, 9, 11, 13, 15]);

    /// <summary>Eight signs from seven bits: the eighth makes the number of negative ones even.</summary>
    public static int EvenSigns(uint bits) => (int)(bits & 127) | (BitOperations.PopCount(bits & 127) & 1) << 7;
}
