using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using Fossil.Kernels.OneRow;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// A decoder layer for one token of one text, without a gradient: four launches of its projections and one of its attention, on memory that no tensor stands for. A token's time is then that of reading
/// the weights, and not that of setting seventeen operations up. Values are rounded to the model's dtype where the layer's separate operations round them.
/// </summary>
internal sealed unsafe class OneTokenLayer
{
    private readonly LayerParts parts;
    private readonly LayerRow[] inputs;
    private readonly LayerRow[] output;
    private readonly LayerRow[] gates;
    private readonly LayerRow[] down;

    private OneTokenLayer(LayerParts parts, LayerRow[] inputs, LayerRow[] output, LayerRow[] gates, LayerRow[] down) => (this.parts, this.inputs, this.output, this.gates, this.down) = (parts, inputs, output, gates, down);

    /// <summary>The layer's output (1, 1, hidden_size); null where its parts must go one after the other: with a gradient, several tokens, padding, other adapters than <see cref="LayerRow"/> has, or on another device.</summary>
    public static Tensor? TryRun(Tensor x, LayerParts? parts, AttentionContext context) => IsOneToken(x, parts, context) ? Of(parts!, context, x.dtype)?.Run(x, context) : null;

    /// <summary>
    /// The output of all layers, in a <see cref="KernelTeam"/>: a token's launches are too short for a thread to be woken for each. Null where one of the layers has no such operation, whose parts must
    /// have libtorch's threads.
    /// </summary>
    public static Tensor? TryRun(Tensor x, IList<DecoderLayer> layers, AttentionContext context)
    {
        if (layers.Count == 0 || !IsOneToken(x, layers[0].Parts, context)) return null;
        var operations = new OneTokenLayer[layers.Count];
        for (var i = 0; i < operations.Length; i++)
        {
            if (layers[i].Parts is not { } parts || Of(parts, context, x.dtype) is not { } operation) return null;
            operations[i] = operation;
        }

        var y = x;
        KernelTeam.Run(() =>
        {
            foreach (var operation in operations)
            {
                var next = operation.Run(y, context);
                if (!ReferenceEquals(y, x)) y.Dispose();
                y = next;
            }
        });
        return y;
    }

    private static bool IsOneToken(Tensor x, LayerParts? parts, AttentionContext context) =>
        parts is not null && context is { Cache: not null, Mask: null, Starts: null } && !is_grad_enabled() && Vector512.IsHardwareAccelerated
        && x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16 && x.numel() == parts.AttentionNorm.Weight.size(0);

    private static OneTokenLayer? Of(LayerParts parts, AttentionContext context, ScalarType dtype)
    {
        var attention = parts.Attention;
        var rotated = attention.Rotates ? Angles(attention, context).Cos.size(1) : 0;
        if (attention.Size % Lanes.Count != 0 || rotated % (2 * Lanes.Count) != 0) return null;
        if (Rows(attention.Inputs, dtype) is not { } inputs || Rows([attention.Output], dtype) is not { } output) return null;
        if (Rows(parts.Gated.Inputs, dtype) is not { } gates || Rows([parts.Gated.Output], dtype) is not { } down) return null;
        return inputs[0].InFeatures % Lanes.Count == 0 && down[0].InFeatures % Lanes.Count == 0 ? new(parts, inputs, output, gates, down) : null;
    }

    private static (Tensor Cos, Tensor Sin) Angles(AttentionParts attention, AttentionContext context) =>
        attention.Window is not null && context.WindowCos is not null ? (context.WindowCos, context.WindowSin!) : (context.Cos, context.Sin);

    private Tensor Run(Tensor x, AttentionContext context) => x.dtype == ScalarType.Float32 ? Run<float>(x, context) : Run<ushort>(x, context);

    private Tensor Run<T>(Tensor x, AttentionContext context) where T : unmanaged
    {
        var attention = parts.Attention;
        var (cos, sin) = Angles(attention, context);
        var rotated = attention.Rotates ? cos.size(1) : 0;
        var (width, inner) = (inputs[0].InFeatures, down[0].InFeatures);
        var (queries, keys) = ((long)attention.Heads * attention.Size, (long)attention.KeyValueHeads * attention.Size);
        var rows = context.Cache!.NextToken(attention.Layer, attention.KeyValueHeads, attention.Size, x.dtype);
        var seen = attention.Window is { } window ? Math.Min(window, rows.Length + 1) : rows.Length + 1;
        var columns = (seen + Lanes.Count - 1) / Lanes.Count * Lanes.Count;
        var beside = Math.Max(Math.Max(RowLaunch.ScratchFloats(inputs), RowLaunch.ScratchFloats(output)), Math.Max(RowLaunch.ScratchFloats(gates), RowLaunch.ScratchFloats(down)));

        // Everything but the beside is a multiple of a vector.
        using var scratch = KernelScratch.Take((2 * width) + Math.Max((2 * queries) + (2 * keys) + (attention.Heads * columns), 3 * inner) + beside);
        float* residual = scratch.Floats, row = residual + width, middle = row + width, free = middle + Math.Max((2 * queries) + (2 * keys) + (attention.Heads * columns), 3 * inner);
        TokenRow.Read((T*)NativeTensor.Data(x), residual, width);

        TokenRow.Norm<T>(residual, parts.AttentionNorm, row, width);
        RowLaunch.Run(inputs, row, middle, free);
        TokenRow.Round<T>(middle, queries + (2 * keys));
        float* attended = middle + queries + (2 * keys), scores = attended + queries;
        Turn<T>(middle, attention, new RotaryAngles(KernelMatrix.Of(cos), KernelMatrix.Of(sin)), rotated);
        Keep<T>(middle + queries, rows, attention);
        var first = rows.Length + 1 - seen;
        KernelRows.Run(attention.Heads, seen * attention.Size, new OneTokenAttention<T>(middle, rows, attention, first, seen, scores, columns, attended));
        RowLaunch.Run(output, attended, row, free);
        TokenRow.Add<T>(residual, row, parts.Factor, width);

        TokenRow.Norm<T>(residual, parts.GatedNorm, row, width);
        RowLaunch.Run(gates, row, middle, free);
        TokenRow.Gate<T>(middle, middle + inner, middle + (2 * inner), inner);
        RowLaunch.Run(down, middle + (2 * inner), row, free);
        TokenRow.Add<T>(residual, row, parts.Factor, width);

        var y = empty(x.shape, dtype: x.dtype);
        TokenRow.Write(residual, (T*)NativeTensor.Data(y), width);
        GC.KeepAlive(x);
        GC.KeepAlive(context);
        return y;
    }

    private static LayerRow[]? Rows(LinearLayer[] layers, ScalarType dtype)
    {
        var rows = new LayerRow[layers.Length];
        for (var i = 0; i < rows.Length; i++)
        {
            if (LayerRow.Of(layers[i], dtype) is not { } row) return null;
            rows[i] = row;
        }

        return rows;
    }

    /// <summary>Norms and turns the heads of queries and keys where they lie.</summary>
    private static void Turn<T>(float* heads, AttentionParts attention, RotaryAngles angles, long rotated) where T : unmanaged
    {
        var half = (nuint)rotated / 2;
        for (var head = 0; head < attention.Heads + attention.KeyValueHeads; head++, heads += attention.Size)
        {
            if ((head < attention.Heads ? attention.QueryNorm : attention.KeyNorm) is { } norm) TokenRow.Norm<T>(heads, norm, heads, attention.Size);
            if (head < attention.Heads && attention.QueryFactor != 1) TokenRow.Scale<T>(heads, attention.QueryFactor, attention.Size);
            for (nuint i = 0; i < half; i += Lanes.Count)
            {
                var (a, b) = (Vector512.Load(heads + i), Vector512.Load(heads + i + half));
                angles.Turn<T>(0, i, ref a, ref b);
                a.Store(heads + i);
                b.Store(heads + i + half);
            }
        }
    }

    /// <summary>Puts the token's keys and values into the cache.</summary>
    private static void Keep<T>(float* keys, in KeyValueRows rows, AttentionParts attention) where T : unmanaged
    {
        var size = attention.Size;
        var values = keys + (attention.KeyValueHeads * size);
        for (var head = 0; head < attention.KeyValueHeads; head++)
        {
            var place = (((long)head * rows.Capacity) + rows.Length) * size;
            TokenRow.Write(keys + (head * size), (T*)rows.Keys + place, size);
            TokenRow.Write(values + (head * size), (T*)rows.Values + place, size);
        }
    }
}
