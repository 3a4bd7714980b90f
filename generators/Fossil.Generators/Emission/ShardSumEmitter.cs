namespace Fossil.Generators.Emission;

/// <summary>Writes the shard sum of one row.</summary>
internal static class ShardSumEmitter
{
    public static void Emit(IndentedWriter writer, KernelElement element, KernelShape shape)
    {
        writer.Line();
        writer.Line($"/// <summary>sum[j] = Σ_i x[i·{shape.ShardSize} + j], with vectors of {shape.Lanes} float32.</summary>");
        writer.Line("[MethodImpl(MethodImplOptions.AggressiveOptimization)]");
        using (writer.Block($"private static void SumRow{shape.Bits}(ref {element.ClrType} x, ref float sum, nuint columns)"))
        {
            if (shape.IsNarrow) EmitNarrow(writer, element, shape);
            else EmitWide(writer, element, shape);
        }
    }

    /// <summary>A chunk is a part of a vector: sums of blocks of several chunks first, then the chunks of a block.</summary>
    private static void EmitNarrow(IndentedWriter writer, KernelElement element, KernelShape shape)
    {
        var block = shape.BlockColumns;
        var vectors = block / shape.Lanes;
        writer.Line($"// {block} columns are {vectors} whole vectors and {block / shape.ShardSize} whole chunks.");
        EmitZeros(writer, shape, vectors, "sum");
        writer.Line("nuint c = 0;");
        using (writer.Block($"for (; c + {block} <= columns; c += {block})"))
        {
            for (var index = 0; index < vectors; index++) writer.Line($"sum{index} += {element.Load(shape.Bits, "x", At("c", index * shape.Lanes))};");
        }
        writer.Line();
        writer.Line($"global::System.Span<float> block = stackalloc float[{block}];");
        writer.Line("ref float lanes = ref global::System.Runtime.InteropServices.MemoryMarshal.GetReference(block);");
        for (var index = 0; index < vectors; index++) writer.Line($"Vector{shape.Bits}.StoreUnsafe(sum{index}, ref lanes, {index * shape.Lanes});");
        using (writer.Block($"for (nuint j = 0; j < {shape.ShardSize}; j++)"))
        {
            writer.Line("float total = 0f;");
            writer.Line($"for (nuint lane = j; lane < {block}; lane += {shape.ShardSize}) total += Unsafe.Add(ref lanes, lane);");
            writer.Line("Unsafe.Add(ref sum, j) = total;");
        }
        writer.Line();
        writer.Line("// The columns after the last whole block; it starts at a multiple of the shard size.");
        writer.Line($"for (nuint j = 0; c < columns; c++, j = j == {shape.ShardSize - 1} ? 0 : j + 1) Unsafe.Add(ref sum, j) += {element.LoadScalar("x", "c")};");
    }

    private static void EmitWide(IndentedWriter writer, KernelElement element, KernelShape shape)
    {
        writer.Line("nuint c;");
        if (shape.LoopedPasses > 0)
        {
            writer.Line($"// A chunk has more vectors than there are registers for: {shape.PassColumns} of its columns at a time.");
            using (writer.Block($"for (nuint start = 0; start < {shape.LoopedPasses * shape.PassColumns}; start += {shape.PassColumns})"))
            {
                EmitPass(writer, element, shape, shape.LoopedPass, chunks: 1, start: "start", name: "part");
            }
            writer.Line();
        }
        EmitPass(writer, element, shape, shape.LastPass, shape.ChunksPerStep, start: null, name: "sum");
        writer.Line();
        writer.Line("// A last chunk that is shorter counts as zero-padded.");
        writer.Line("nuint j = 0;");
        using (writer.Block($"for (; c + {shape.Lanes} <= columns; c += {shape.Lanes}, j += {shape.Lanes})"))
        {
            writer.Line($"Vector{shape.Bits}.StoreUnsafe(Vector{shape.Bits}.LoadUnsafe(ref sum, j) + {element.Load(shape.Bits, "x", "c")}, ref sum, j);");
        }
        writer.Line($"for (; c < columns; c++, j++) Unsafe.Add(ref sum, j) += {element.LoadScalar("x", "c")};");
    }

    /// <summary>Adds up the columns at <paramref name="offsets"/> of every whole chunk.</summary>
    private static void EmitPass(IndentedWriter writer, KernelElement element, KernelShape shape, IReadOnlyList<int> offsets, int chunks, string? start, string name)
    {
        var (size, count) = (shape.ShardSize, offsets.Count);
        EmitZeros(writer, shape, count * chunks, name);
        if (chunks > 1)
        {
            writer.Line($"// {chunks} chunks at a time, each with sums of its own: an addition need not wait for the one before.");
            using (writer.Block($"for (c = 0; c + {chunks * size} <= columns; c += {chunks * size})"))
            {
                for (var chunk = 0; chunk < chunks; chunk++) EmitAdditions(chunk);
            }
            for (var chunk = 1; chunk < chunks; chunk++)
            {
                for (var index = 0; index < count; index++) writer.Line($"{name}{index} += {name}{(chunk * count) + index};");
            }
        }
        using (writer.Block($"for ({(chunks > 1 ? "" : "c = 0")}; c + {size} <= columns; c += {size})")) EmitAdditions(chunk: 0);
        for (var index = 0; index < count; index++) writer.Line($"Vector{shape.Bits}.StoreUnsafe({name}{index}, ref sum, {At(start, offsets[index])});");

        void EmitAdditions(int chunk)
        {
            for (var index = 0; index < count; index++)
            {
                var column = At(start is null ? "c" : $"c + {start}", (chunk * size) + offsets[index]);
                writer.Line($"{name}{(chunk * count) + index} += {element.Load(shape.Bits, "x", column)};");
            }
        }
    }

    private static void EmitZeros(IndentedWriter writer, KernelShape shape, int count, string name)
    {
        for (var index = 0; index < count; index++) writer.Line($"Vector{shape.Bits}<float> {name}{index} = Vector{shape.Bits}<float>.Zero;");
    }

    /// <summary>A column index: a variable part and a constant one.</summary>
    internal static string At(string? variable, int offset) => (variable, offset) switch
    {
        (null, _) => $"{offset}",
        (_, 0) => variable,
        _ => $"{variable} + {offset}",
    };
}
