using System.Numerics;
using System.Runtime.CompilerServices;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Distributed;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Kernels;

/// <summary>A dropout mask that is drawn again from its seed in the backward pass instead of being kept. Each row of the batch has its own numbers, which depend neither on the other rows nor on what is padded behind it.</summary>
/// <param name="Probability">Probability of an element to be dropped; 0 for none.</param>
/// <param name="Seed">What the mask is drawn from.</param>
/// <param name="FirstRow">The number of the first row.</param>
/// <param name="Rows">How many rows of the batch there are; 0 where the first dimension tells it.</param>
internal readonly record struct DropoutMask(double Probability, long Seed, long FirstRow = 0, long Rows = 0)
{
    /// <summary>No dropout.</summary>
    public static readonly DropoutMask None = default;

    // Ranks that say nothing of their rows must not have the same.
    private const int RowsOfRank = 40;

    /// <summary>Whether nothing is dropped.</summary>
    public bool IsNone => Probability == 0;

    /// <summary>1/(1-p), which makes up for what is dropped.</summary>
    public double Scale => 1 / (1 - Probability);

    /// <summary>A new mask for a module that is training, none for one that is not.</summary>
    /// <param name="probability">Probability of an element to be dropped.</param>
    /// <param name="module">The module.</param>
    /// <param name="layer">Which layer of the model it is, the same in each run.</param>
    public static DropoutMask Draw(double probability, nn.Module module, string layer = "")
    {
        if (probability <= 0 || !module.training) return None;
        if (DropoutRows.Current is { } rows) return new(probability, rows.SeedOf(layer), rows.First, rows.Count);

        // Drawn from torch's generator: torch.manual_seed makes it repeatable.
        using var seed = randint(long.MaxValue, 1, dtype: ScalarType.Int64);
        return new(probability, seed.item<long>(), (long)(ProcessGroup.Joined?.Rank ?? 0) << RowsOfRank);
    }

    /// <summary>The mask, one element for each of <paramref name="like"/>: true where it is kept. <see cref="Scale"/> is not in it.</summary>
    public Tensor For(Tensor like)
    {
        var shape = like.shape;
        var elements = like.numel();
        var dimension = shape.Length > 1 ? shape[0] : 1;
        var rows = Rows > 0 && dimension % Rows == 0 ? Rows : dimension;
        var mask = empty(shape, dtype: ScalarType.Bool, device: like.device);
        if (elements == 0) return mask;
        using var flat = mask.view(rows, -1);
        for (long row = 0; row < rows; row++)
        {
            using var part = flat.narrow(0, row, 1);
            var key = DataOrder.Scramble((ulong)Seed + DataOrder.Scramble((ulong)(FirstRow + row)));
            var (first, second) = ((uint)key, (uint)(key >> 32));
            if (like.device_type == TorchSharp.DeviceType.CPU) Fill(part, first, second);
            else Draw(part, first, second);
        }

        return mask;
    }

    // The number below which an element is dropped.
    private uint Threshold => (uint)Math.Min(uint.MaxValue, Probability * (1L << 32));

    private unsafe void Fill(Tensor row, uint first, uint second)
    {
        var to = (byte*)NativeTensor.Data(row);
        var length = row.numel();
        var threshold = Threshold;
        var (lanes, below) = (Vector<uint>.Count, new Vector<uint>(threshold));
        long i = 0;
        for (; i <= length - (4 * lanes); i += 4 * lanes)
        {
            var low = Vector.Narrow(Kept((uint)i), Kept((uint)(i + lanes)));
            var high = Vector.Narrow(Kept((uint)(i + (2 * lanes))), Kept((uint)(i + (3 * lanes))));
            Unsafe.WriteUnaligned(to + i, Vector.Narrow(low, high) & Vector<byte>.One);
        }

        for (; i < length; i++) to[i] = Mix((uint)i, first, second) >= threshold ? (byte)1 : (byte)0;

        Vector<uint> Kept(uint start) => Vector.GreaterThanOrEqual(Mix(new Vector<uint>(start) + Vector<uint>.Indices, first, second), below);
    }

    /// <summary>The same numbers where memory cannot be written from here: 32 bits in 64.</summary>
    private void Draw(Tensor row, uint first, uint second)
    {
        using var scope = NewDisposeScope();
        var x = arange(Scalars.Zero, Scalars.Of(row.numel()), Scalars.One, dtype: ScalarType.Int64, device: row.device).bitwise_xor_(Of(first));
        Step(16, 0x21f0aaad);
        Step(15, 0x735a2d97);
        x = x.bitwise_xor(Shifted(15)).add_(Of(second), Scalars.One).bitwise_and_(Of(uint.MaxValue));
        Step(16, 0x7feb352d);
        Step(15, 0x846ca68b);
        row.copy_(x.bitwise_xor(Shifted(16)).ge(Of(Threshold)).view_as(row));

        Tensor Of(long value) => tensor(value, device: row.device);

        Tensor Shifted(int bits) => x.bitwise_right_shift(Of(bits));

        void Step(int bits, uint factor) => x = x.bitwise_xor(Shifted(bits)).mul_(Of(factor)).bitwise_and_(Of(uint.MaxValue));
    }

    /// <summary>A number for each element: two rounds of a mixing function of 32 bits, each with a half of the row's key.</summary>
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
}
