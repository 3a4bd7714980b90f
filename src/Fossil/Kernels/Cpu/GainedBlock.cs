using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>Blocks of <see cref="GainedChange"/>: as they lie, or as products that are made when they are asked for.</summary>
internal readonly unsafe struct GainedBlock(GainedChange change)
{
    /// <summary>Rows whose elements, 16 KB, are in the first cache until they are read.</summary>
    public const int Rows = 64;

    /// <summary>Whether the elements of a block are float32.</summary>
    public bool IsFloat => change.IsProduct || change.Left.ElementType == ScalarType.Float32;

    /// <summary>Floats that the thread needs.</summary>
    public long ScratchFloats => change.IsProduct ? PairFloats + (Rows * BFloat16Blocks.Width) : 1;

    /// <summary>H.</summary>
    public KernelMatrix Left => change.Left;

    private nint Depth => (nint)change.Left.Columns;

    private nint PairFloats => Depth * BFloat16Blocks.Width / 2;

    /// <summary>Columns of a panel: as many as a block product takes, or fewer where that gives each thread as many panels as the others.</summary>
    public static nint WidthOf(long columns)
    {
        const nint Step = 16, Fewest = 32;
        for (nint width = BFloat16Blocks.Width; width > Fewest; width -= Step)
        {
            var panels = (columns + width - 1) / width;
            if (panels % Environment.ProcessorCount == 0 || panels >= 8 * Environment.ProcessorCount) return width;
        }

        return Fewest;
    }

    /// <summary>Whether products are made of such factors.</summary>
    public static bool Fits(in GainedChange change, in KernelMatrix y) =>
        BFloat16Blocks.IsSupported && change.Left.ElementType == ScalarType.BFloat16 && change.Left.Rows == y.Rows && change.Left.Columns is > 0 and <= BFloat16Blocks.MostDepth && change.Left.Columns % 8 == 0
        && change.Right.ElementType is ScalarType.Float32 or ScalarType.BFloat16 && change.Right.Rows == y.Columns && change.Right.Columns == change.Left.Columns;

    /// <summary>Makes ready for some columns.</summary>
    public void Prepare(nint column, nint columns, float* scratch)
    {
        if (!change.IsProduct) return;
        if (change.Right.ElementType == ScalarType.Float32) Pair<float>(column, columns, scratch);
        else Pair<ushort>(column, columns, scratch);
    }

    /// <summary>The first element of a block.</summary>
    /// <param name="row">Its first row.</param>
    /// <param name="count">At most <see cref="Rows"/>.</param>
    /// <param name="column">Its first column, as in <see cref="Prepare"/>.</param>
    /// <param name="columns">As there.</param>
    /// <param name="scratch">As there.</param>
    /// <param name="stride">Elements from a row to the next.</param>
    public void* At(nint row, nint count, nint column, nint columns, float* scratch, out nint stride)
    {
        if (!change.IsProduct)
        {
            stride = (nint)change.Left.RowStride;
            return (byte*)Unsafe.AsPointer(ref change.Left.Row<byte>(row)) + (column * change.Left.ElementSize);
        }

        var product = scratch + PairFloats;
        fixed (ushort* left = &change.Left.Row<ushort>(row)) BFloat16Blocks.Multiply(count, columns, Depth, left, (nint)change.Left.RowStride, (ushort*)scratch, product, BFloat16Blocks.Width, accumulate: false);
        stride = BFloat16Blocks.Width;
        return product;
    }

    /// <summary>Behind the last block of a thread.</summary>
    public void Release()
    {
        if (change.IsProduct) BFloat16Blocks.Release();
    }

    private void Pair<T>(nint column, nint columns, float* scratch) where T : unmanaged
    {
        fixed (T* rows = &change.Right.Row<T>(column)) BFloat16Blocks.PairColumns(rows, (nint)change.Right.RowStride, Depth, columns, (ushort*)scratch);
    }
}

/// <summary>What <see cref="GainedColumns"/> makes of sixteen columns.</summary>
internal readonly struct GainedFactors(GainedColumns columns)
{
    /// <summary>y = p ⊙ l + q ⊙ u + o.</summary>
    public (Vector512<float> P, Vector512<float> Q, Vector512<float> O) Forward(nint column)
    {
        var (gain, direct) = Gains(column);
        var offset = columns.Bias.Rows == 0 ? Vector512<float>.Zero : ShardProducts.Load(columns.Bias, 0, column);
        return (gain * columns.ChangeScale, direct, columns.IsInDirect ? offset - (offset * gain) : offset);
    }

    /// <summary>What multiplies dy in the gradients of l and u, and what the sum of u and l has to lose to be without a bias.</summary>
    public (Vector512<float> Gain, Vector512<float> Direct, Vector512<float> Bias) Backward(nint column)
    {
        var (gain, direct) = Gains(column);
        return (gain, direct, columns.IsInDirect && columns.Bias.Rows != 0 ? ShardProducts.Load(columns.Bias, 0, column) : Vector512<float>.Zero);
    }

    /// <summary>s.</summary>
    public float ChangeScale => columns.ChangeScale;

    /// <summary>t.</summary>
    public float DirectScale => columns.DirectScale;

    /// <summary>n.</summary>
    public Vector512<float> Norm(nint column) => ShardProducts.Load(columns.Norm, 0, column);

    private (Vector512<float> Gain, Vector512<float> Direct) Gains(nint column)
    {
        var gain = ShardProducts.Load(columns.Magnitude, 0, column) / Norm(column);
        return (gain, (gain - Vector512.Create(columns.Given)) * columns.DirectScale);
    }
}
