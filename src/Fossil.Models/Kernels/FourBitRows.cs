using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.Adapters;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using Fossil.Models.Checkpoints.Quantised;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>Writes rows of a <see cref="FourBitWeight"/> out as numbers.</summary>
internal static unsafe class FourBitRows
{
    /// <summary>Some rows and columns, a new tensor in the weight's dtype and on its device.</summary>
    public static Tensor Write(FourBitWeight weight, RowRange rows, RowRange columns)
    {
        using var scope = NewDisposeScope();
        var layout = weight.Layout;
        // The codes are read by the processor: those of another device come here, as they are.
        var codes = weight.Codes.cpu();
        var isRounded = weight.Dtype == ScalarType.BFloat16 && layout.Computed is ScalarType.Float32 or ScalarType.BFloat16;
        var values = empty(rows.Count, columns.Count, dtype: isRounded ? ScalarType.BFloat16 : ScalarType.Float32);
        var matrix = KernelMatrix.Of(values);
        var source = (byte*)NativeTensor.Data(codes);
        if (isRounded) KernelRows.Run(rows.Count, columns.Count, new Kernel<ushort>(layout, source, rows.Start, columns, matrix));
        else KernelRows.Run(rows.Count, columns.Count, new Kernel<float>(layout, source, rows.Start, columns, matrix));
        GC.KeepAlive(codes);

        // bitsandbytes gives the dtype that the weight had, rounded to it.
        if (!isRounded && layout.Computed != ScalarType.Float32) values = values.to(layout.Computed);
        return values.to(weight.Dtype, weight.Codes.device).MoveToOuterDisposeScope();
    }

    private readonly struct Kernel<T>(FourBitLayout layout, byte* codes, long start, RowRange columns, KernelMatrix values) : IRowKernel where T : unmanaged
    {
        [SkipLocalsInit]
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            var table = Vector512.Create(layout.Values);
            for (var i = first; i < end; i++)
            {
                var (row, done) = (start + i, 0L);
                ref var to = ref values.Row<T>(i);
                while (done < columns.Count)
                {
                    var column = columns.Start + done;
                    var (scale, run) = (layout.ScaleOf(row, column), done + Math.Min(layout.RunOf(row, column), columns.Count - done));
                    var code = (row * layout.Columns) + column;
                    if (code % 2 == 0)
                    {
                        for (; done + Lanes.Count <= run; done += Lanes.Count, code += Lanes.Count) Lanes.Store(Vector512.Shuffle(table, Codes(codes + (code / 2))) * scale, ref to, (nuint)done);
                    }

                    for (; done < run; done++, code++)
                    {
                        var value = layout.Values[code % 2 == 0 ? codes[code / 2] >> 4 : codes[code / 2] & 0xF] * scale;
                        if (typeof(T) == typeof(float)) Unsafe.As<T, float>(ref Unsafe.Add(ref to, (nint)done)) = value;
                        else Unsafe.As<T, ushort>(ref Unsafe.Add(ref to, (nint)done)) = BFloat16Lanes.FromSingle(value);
                    }
                }
            }
        }

        public void DeclareWrites(long row, KernelWrites writes) => writes.Add(values, row);

        /// <summary>Sixteen codes of eight bytes.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector512<int> Codes(byte* bytes)
        {
            // Each byte twice side by side in sixteen bits; then the high half of the first and the low half of the second.
            var wide = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)bytes).AsByte());
            var pairs = (wide << 8 | wide >>> 4).AsByte() & Vector128.Create((byte)0xF);
            var (low, high) = Vector128.Widen(pairs);
            return Vector512.Create(Vector256.Create(Vector128.WidenLower(low), Vector128.WidenUpper(low)), Vector256.Create(Vector128.WidenLower(high), Vector128.WidenUpper(high))).AsInt32();
        }
    }
}
