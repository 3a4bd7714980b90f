namespace Fossil.Generators.Emission;

/// <summary>Writes the addition of the tiled gradient to one row.</summary>
internal static class AddTiledEmitter
{
    public static void Emit(IndentedWriter writer, KernelElement element, KernelShape shape)
    {
        writer.Line();
        writer.Line($"/// <summary>x[c] += shard[c mod {shape.ShardSize}], with vectors of {shape.Lanes} float32.</summary>");
        writer.Line("[MethodImpl(MethodImplOptions.AggressiveOptimization)]");
        using (writer.Block($"private static void AddRow{shape.Bits}(ref {element.ClrType} x, ref float shard, nuint columns)"))
        {
            if (shape.IsNarrow) EmitNarrow(writer, element, shape);
            else EmitWide(writer, element, shape);
        }
    }

    /// <summary>A chunk is a part of a vector: the gradient is repeated until it fills whole vectors.</summary>
    private static void EmitNarrow(IndentedWriter writer, KernelElement element, KernelShape shape)
    {
        var block = shape.BlockColumns;
        var offsets = Enumerable.Range(0, block / shape.Lanes).Select(index => index * shape.Lanes).ToList();
        writer.Line($"// {block} columns are {offsets.Count} whole vectors and {block / shape.ShardSize} whole chunks.");
        writer.Line($"global::System.Span<float> block = stackalloc float[{block}];");
        writer.Line("ref float lanes = ref global::System.Runtime.InteropServices.MemoryMarshal.GetReference(block);");
        writer.Line($"for (nuint lane = 0; lane < {block}; lane++) Unsafe.Add(ref lanes, lane) = Unsafe.Add(ref shard, lane % {shape.ShardSize});");
        EmitLoads(writer, shape, offsets, "lanes", start: null, name: "add");
        writer.Line("nuint c = 0;");
        using (writer.Block($"for (; c + {block} <= columns; c += {block})")) EmitAdditions(writer, element, shape, offsets, start: null, name: "add", overlaps: false);
        using (writer.Block("for (nuint lane = 0; c < columns; c++, lane++)")) writer.Line(element.AddScalar("x", "c", "Unsafe.Add(ref lanes, lane)"));
    }

    private static void EmitWide(IndentedWriter writer, KernelElement element, KernelShape shape)
    {
        writer.Line("nuint c;");
        if (shape.LoopedPasses > 0)
        {
            writer.Line($"// A chunk has more vectors than there are registers for: {shape.PassColumns} of its columns at a time.");
            using (writer.Block($"for (nuint start = 0; start < {shape.LoopedPasses * shape.PassColumns}; start += {shape.PassColumns})"))
            {
                EmitPass(shape.LoopedPass, "start", "part", overlaps: false);
            }
            writer.Line();
        }
        EmitPass(shape.LastPass, start: null, "add", shape.Overlaps);
        writer.Line();
        writer.Line("// A last chunk that is shorter takes the first part of the gradient.");
        writer.Line("nuint j = 0;");
        using (writer.Block($"for (; c + {shape.Lanes} <= columns; c += {shape.Lanes}, j += {shape.Lanes})"))
        {
            writer.Line($"{element.Store(shape.Bits, $"{element.Load(shape.Bits, "x", "c")} + Vector{shape.Bits}.LoadUnsafe(ref shard, j)", "x", "c")};");
        }
        using (writer.Block("for (; c < columns; c++, j++)")) writer.Line(element.AddScalar("x", "c", "Unsafe.Add(ref shard, j)"));

        void EmitPass(IReadOnlyList<int> offsets, string? start, string name, bool overlaps)
        {
            EmitLoads(writer, shape, offsets, "shard", start, name);
            using (writer.Block($"for (c = 0; c + {shape.ShardSize} <= columns; c += {shape.ShardSize})")) EmitAdditions(writer, element, shape, offsets, start, name, overlaps);
        }
    }

    private static void EmitLoads(IndentedWriter writer, KernelShape shape, IReadOnlyList<int> offsets, string source, string? start, string name)
    {
        for (var index = 0; index < offsets.Count; index++)
        {
            writer.Line($"Vector{shape.Bits}<float> {name}{index} = Vector{shape.Bits}.LoadUnsafe(ref {source}, {ShardSumEmitter.At(start, offsets[index])});");
        }
    }

    private static void EmitAdditions(IndentedWriter writer, KernelElement element, KernelShape shape, IReadOnlyList<int> offsets, string? start, string name, bool overlaps)
    {
        var column = start is null ? "c" : $"c + {start}";
        var last = offsets.Count - 1;
        if (overlaps)
        {
            writer.Line("// The last two vectors overlap: read the last before the other is written, then both write the same there.");
            writer.Line($"Vector{shape.Bits}<float> last = {Sum(last)};");
        }
        for (var index = 0; index < (overlaps ? last : offsets.Count); index++) writer.Line($"{element.Store(shape.Bits, Sum(index), "x", At(index))};");
        if (overlaps) writer.Line($"{element.Store(shape.Bits, "last", "x", At(last))};");

        string At(int index) => ShardSumEmitter.At(column, offsets[index]);
        string Sum(int index) => $"{element.Load(shape.Bits, "x", At(index))} + {name}{index}";
    }
}
