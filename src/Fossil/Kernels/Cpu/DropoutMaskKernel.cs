using System.Numerics;
using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using static TorchSharp.torch;

namespace Fossil.Kernels.Cpu;

/// <summary>Dropout masks by two rounds of a mixing function of 32 bits, each with a half of the row's key.</summary>
internal sealed class DropoutMaskKernel : IDropoutMask
{
    /// <summary>Elements that one thread draws at a time: a mask may have one long row.</summary>
    private const int BlockSize = 1 << 13;

    public unsafe bool TryFill(in KernelMatrix mask, DropoutRow[] rows, uint threshold)
    {
        if (!mask.IsPlain(ScalarType.Bool)) return false;
        var blocks = (mask.Columns + BlockSize - 1) / BlockSize;
        KernelRows.Run(mask.Rows * blocks, Math.Min(BlockSize, mask.Columns), new Blocks((byte*)mask.Address, rows, mask.Columns, blocks, threshold));
        return true;
    }

    /// <summary>A number for an element.</summary>
    private static uint Mix(uint element, uint first, uint second)
    {
        var x = element ^ first;
        x = (x ^ (x >> 16)) * 0x21f0aaad;
        x = (x ^ (x >> 15)) * 0x735a2d97;
        x = (x ^ (x >> 15)) + second;
        x = (x ^ (x >> 16)) * 0x7feb352d;
        x = (x ^ (x >> 15)) * 0x846ca68b;
        return x ^ (x >> 16);
    }

    private static Vector<uint> Mix(Vector<uint> element, uint first, uint second)
    {
        var x = element ^ new Vector<uint>(first);
        x = (x ^ (x >>> 16)) * 0x21f0aaad;
        x = (x ^ (x >>> 15)) * 0x735a2d97;
        x = (x ^ (x >>> 15)) + new Vector<uint>(second);
        x = (x ^ (x >>> 16)) * 0x7feb352d;
        x = (x ^ (x >>> 15)) * 0x846ca68b;
        return x ^ (x >>> 16);
    }

    /// <summary>Parts of rows; each element is for itself, so they change no number.</summary>
    private readonly unsafe struct Blocks(byte* mask, DropoutRow[] rows, long columns, long blocks, uint threshold) : IRowKernel
    {
        public void Run(long first, long end)
        {
            for (var block = first; block < end; block++)
            {
                var (start, length) = Place(block);
                Fill(mask + (block / blocks * columns) + start, length, rows[block / blocks], (uint)start);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            var (start, length) = Place(row);
            writes.Add(mask + (row / blocks * columns) + start, length);
        }

        private (long Start, int Length) Place(long block) => (block % blocks * BlockSize, (int)Math.Min(BlockSize, columns - (block % blocks * BlockSize)));

        private void Fill(byte* to, int length, DropoutRow row, uint start)
        {
            var (first, second, from) = (row.First, row.Second, row.Offset + start);
            var (lanes, below) = (Vector<uint>.Count, new Vector<uint>(threshold));
            var i = 0;
            for (; i <= length - (4 * lanes); i += 4 * lanes)
            {
                var low = Vector.Narrow(Kept(i), Kept(i + lanes));
                var high = Vector.Narrow(Kept(i + (2 * lanes)), Kept(i + (3 * lanes)));
                Unsafe.WriteUnaligned(to + i, Vector.Narrow(low, high) & Vector<byte>.One);
            }

            for (; i < length; i++) to[i] = Mix(from + (uint)i, first, second) >= threshold ? (byte)1 : (byte)0;

            Vector<uint> Kept(int at) => Vector.GreaterThanOrEqual(Mix(new Vector<uint>(from + (uint)at) + Vector<uint>.Indices, first, second), below);
        }
    }
}
