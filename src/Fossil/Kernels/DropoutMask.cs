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
/// <param name="Tokens">What the layer sees of the rows; null for all.</param>
internal readonly record struct DropoutMask(double Probability, long Seed, long FirstRow = 0, long Rows = 0, DropoutTokens? Tokens = null)
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
        if (DropoutRows.Current is { } rows) return new(probability, rows.SeedOf(layer), rows.First, rows.Count, DropoutTokens.Current);

        // Drawn from torch's generator: torch.manual_seed makes it repeatable.
        using var seed = randint(long.MaxValue, 1, dtype: ScalarType.Int64);
        return new(probability, seed.item<long>(), (long)(ProcessGroup.Joined?.Rank ?? 0) << RowsOfRank);
    }

    /// <summary>The mask, one element for each of <paramref name="like"/>: true where it is kept. <see cref="Scale"/> is not in it.</summary>
    public Tensor For(Tensor like)
    {
        var mask = empty(like.shape, dtype: ScalarType.Bool, device: like.device);
        if (like.numel() == 0) return mask;
        var (rows, threshold) = (RowsOf(like), Threshold);
        using var flat = mask.view(rows.Length, -1);
        if (!KernelRegistry.TryRun<IDropoutMask>(flat.size(1), [flat], (kernel, operands) => kernel.TryFill(operands[0], rows, threshold))) Draw(flat, rows, threshold);
        return mask;
    }

    /// <summary>The same numbers by libtorch, where no kernel takes the mask: 32 bits in 64.</summary>
    internal static void Draw(Tensor mask, DropoutRow[] rows, uint threshold)
    {
        // Numbers of 64 bits are eight times the mask: not of all rows at once.
        const long MostElements = 1 << 20;
        var columns = mask.size(1);
        var device = mask.device;
        using var withoutGradient = no_grad();
        using var elements = arange(Scalars.Zero, Scalars.Of(columns), Scalars.One, dtype: ScalarType.Int64, device: device);
        var most = (int)Math.Max(1, MostElements / columns);
        for (var start = 0; start < rows.Length; start += most)
        {
            var part = rows[start..Math.Min(rows.Length, start + most)];
            using var scope = NewDisposeScope();
            var x = elements.add(Column(row => row.Offset), Scalars.One).bitwise_and_(Of(uint.MaxValue)).bitwise_xor_(Column(row => row.First));
            Step(16, 0x21f0aaad);
            Step(15, 0x735a2d97);
            x = x.bitwise_xor(Shifted(15)).add_(Column(row => row.Second), Scalars.One).bitwise_and_(Of(uint.MaxValue));
            Step(16, 0x7feb352d);
            Step(15, 0x846ca68b);
            mask.narrow(0, start, part.Length).copy_(x.bitwise_xor(Shifted(16)).ge(Of(threshold)));

            Tensor Column(Func<DropoutRow, uint> half) => tensor(part.Select(row => (long)half(row)).ToArray(), device: device).unsqueeze_(1);

            Tensor Of(long value) => tensor(value, device: device);

            Tensor Shifted(int bits) => x.bitwise_right_shift(Of(bits));

            void Step(int bits, uint factor) => x = x.bitwise_xor(Shifted(bits)).mul_(Of(factor)).bitwise_and_(Of(uint.MaxValue));
        }
    }

    // The number below which an element is dropped.
    private uint Threshold => (uint)Math.Min(uint.MaxValue, Probability * (1L << 32));

    /// <summary>What the parts of the mask are drawn from that lie behind each other: rows of the batch, or some tokens of them.</summary>
    private DropoutRow[] RowsOf(Tensor like)
    {
        var dimensions = (int)like.dim();
        var columns = dimensions == 0 ? 1 : like.size(dimensions - 1);
        if (Tokens is { } tokens && tokens.Numbers.Length == like.numel() / columns)
        {
            var parts = new DropoutRow[tokens.Numbers.Length];
            for (var i = 0; i < parts.Length; i++) parts[i] = Row(tokens.Numbers[i] / tokens.OfRow, (uint)(tokens.Numbers[i] % tokens.OfRow * columns));
            return parts;
        }

        var first = dimensions > 1 ? like.size(0) : 1;
        var rows = new DropoutRow[Rows > 0 && first % Rows == 0 ? Rows : first];
        for (var i = 0; i < rows.Length; i++) rows[i] = Row(i, 0);
        return rows;
    }

    private DropoutRow Row(long row, uint offset)
    {
        var key = DataOrder.Scramble((ulong)Seed + DataOrder.Scramble((ulong)(FirstRow + row)));
        return new((uint)key, (uint)(key >> 32), offset);
    }
}
