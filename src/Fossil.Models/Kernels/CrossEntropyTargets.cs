using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>What rows of logits are compared with.</summary>
internal sealed class CrossEntropyTargets
{
    private readonly Tensor targets;
    private readonly long[] ids;

    private CrossEntropyTargets(Tensor targets, long[] ids, long count) => (this.targets, this.ids, Count) = (targets, ids, count);

    /// <summary>How many rows count.</summary>
    public long Count { get; }

    /// <summary>Reads a token id for each row (rows), int64, on any device.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is no token id below <paramref name="vocabulary"/>, nor <see cref="CrossEntropyCall.Ignored"/>.</exception>
    /// <exception cref="NoLossItemsException">All are ignored.</exception>
    public static CrossEntropyTargets Read(Tensor targets, long vocabulary)
    {
        using var host = targets.cpu();
        var ids = host.data<long>().ToArray();
        foreach (var id in ids)
        {
            if (id != CrossEntropyCall.Ignored && (id < 0 || id >= vocabulary))
            {
                throw new ArgumentOutOfRangeException(nameof(targets), id, $"A label is neither a token id below {vocabulary} nor {CrossEntropyCall.Ignored}, which marks a token that does not count.");
            }
        }

        var count = ids.LongCount(id => id != CrossEntropyCall.Ignored);
        return count > 0 ? new(targets, ids, count) : throw new NoLossItemsException(
            $"No token counts in the loss: every label behind the first token is {CrossEntropyCall.Ignored}, or there is none. The mean over nothing does not exist; leave such batches out.");
    }

    /// <summary>The ids of some rows.</summary>
    public long[] Range(long start, long count) => start == 0 && count == ids.Length ? ids : ids.AsSpan((int)start, (int)count).ToArray();

    /// <summary>The same as a tensor (count, 1), int64, for a kernel of that device; while the tensor lives that was read.</summary>
    public Tensor On(Device device, long start, long count)
    {
        using var rows = targets.narrow(0, start, count);
        using var column = rows.unsqueeze(1);
        return column.to(device);
    }
}
