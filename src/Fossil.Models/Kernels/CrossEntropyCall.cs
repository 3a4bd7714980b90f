using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.Autograd;
using Fossil.CompilerServices;
using Fossil.Concurrency;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Models.Kernels;

/// <summary>
/// Mean cross-entropy of logits (rows, vocabulary), computed in float32 without a float32 copy of them. Where a backward pass may follow, the gradient
/// (softmax − one-hot) / count replaces the logits in their own memory: they must be a temporary that nothing else reads.
/// </summary>
internal sealed class CrossEntropyCall : AdapterCall
{
    /// <summary>Marks a row that does not count.</summary>
    public const long Ignored = TokenBatch.IgnoredLabel;

    private readonly CallInput logits;
    private readonly long[] targets;
    private readonly long count;
    private bool spent;

    private CrossEntropyCall(Tensor logits, long[] targets, long count) => (this.logits, this.targets, this.count) = (Input(logits), targets, count);

    /// <summary>The mean over the rows whose target is not <see cref="Ignored"/>: a float32 scalar (float64 for such logits).</summary>
    /// <param name="logits">(rows, vocabulary); consumed.</param>
    /// <param name="targets">A token id for each row, int64.</param>
    /// <exception cref="NoLossItemsException">All are ignored.</exception>
    public static Tensor Run(Tensor logits, Tensor targets)
    {
        if (Lanes.Fit(logits, logits.shape[1]) && logits.is_contiguous())
        {
            using var host = targets.cpu();
            var ids = host.data<long>().ToArray();
            Check(ids, logits.shape[1]);
            var count = ids.LongCount(id => id != Ignored);
            return AdapterFunction.Run(new CrossEntropyCall(logits, ids, count > 0 ? count : throw NoItems()));
        }

        using var scope = NewDisposeScope();
        if (!targets.ne(Scalars.Of(Ignored)).any().item<bool>()) throw NoItems();
        var wide = logits.dtype == ScalarType.Float64 ? logits : logits.to(ScalarType.Float32);
        return nn.functional.cross_entropy(wide, targets, ignore_index: Ignored).MoveToOuterDisposeScope();
    }

    public override Tensor Forward()
    {
        var x = logits.Value;
        var rows = Lanes.Open(x, x.shape[1]);
        using var losses = zeros(rows.Rows, 1);
        var loss = Lanes.Open(losses, 1);
        if (x.dtype == ScalarType.Float32) KernelRows.Run(rows.Rows, rows.Columns, new Kernel<float>(rows, targets, loss, IsRecorded, 1f / count));
        else KernelRows.Run(rows.Rows, rows.Columns, new Kernel<ushort>(rows, targets, loss, IsRecorded, 1f / count));
        Save(logits);
        var total = 0.0;
        for (var row = 0L; row < loss.Rows; row++) total += loss.Row<float>(row);
        return tensor((float)(total / count));
    }

    public override void Backward(Tensor gradOutput)
    {
        if (spent) throw new InvalidOperationException("The gradient of a fused cross-entropy can be taken once.");
        spent = true;
        var gradient = logits.Value.detach();
        var scale = gradOutput.item<float>();
        // Seldom anything but 1; and then a power of two as a rule, so that this rounds nothing.
        if (scale != 1) gradient.mul_(Scalars.Of(scale));
        logits.Gradient = gradient;
    }

    private static NoLossItemsException NoItems() =>
        new($"No token counts in the loss: every label behind the first token is {Ignored}, or there is none. The mean over nothing does not exist; leave such batches out.");

    private static void Check(long[] targets, long vocabulary)
    {
        foreach (var id in targets)
        {
            if (id != Ignored && (id < 0 || id >= vocabulary))
            {
                throw new ArgumentOutOfRangeException(nameof(targets), id, $"A label is neither a token id below {vocabulary} nor {Ignored}, which marks a token that does not count.");
            }
        }
    }

    private readonly struct Kernel<T>(KernelMatrix logits, long[] targets, KernelMatrix losses, bool gradient, float scale) : IRowKernel where T : unmanaged
    {
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(long first, long end)
        {
            for (var row = first; row < end; row++)
            {
                ref var x = ref logits.Row<T>(row);
                var size = (nuint)logits.Columns;
                if (targets[row] == CrossEntropyCall.Ignored)
                {
                    if (gradient) for (nuint i = 0; i < size; i += Lanes.Count) Lanes.Store(Vector512<float>.Zero, ref x, i);
                    continue;
                }
                var largest = Lanes.Load(ref x, 0);
                for (nuint i = Lanes.Count; i < size; i += Lanes.Count) largest = Vector512.Max(largest, Lanes.Load(ref x, i));
                var max = Lanes.Max(largest);
                var sums = Vector512<float>.Zero;
                for (nuint i = 0; i < size; i += Lanes.Count) sums += Lanes.Exp(Lanes.Load(ref x, i) - Vector512.Create(max));
                var logSum = MathF.Log(Lanes.Sum(sums));
                var target = (nuint)targets[row];
                losses.Row<float>(row) = -(Element(ref x, target) - max - logSum);
                if (!gradient) continue;

                for (nuint i = 0; i < size; i += Lanes.Count)
                {
                    var logProbability = Lanes.Load(ref x, i) - Vector512.Create(max) - Vector512.Create(logSum);
                    Lanes.Store(Lanes.Exp(logProbability) * scale, ref x, i);
                }

                var correct = Element(ref x, target) - scale;
                if (typeof(T) == typeof(float)) Unsafe.As<T, float>(ref Unsafe.Add(ref x, target)) = correct;
                else Unsafe.As<T, ushort>(ref Unsafe.Add(ref x, target)) = BFloat16Lanes.FromSingle(correct);
            }
        }

        public void DeclareWrites(long row, KernelWrites writes)
        {
            writes.Add(losses, row);
            if (gradient) writes.Add(logits, row);
        }

        private static float Element(ref T row, nuint index) => typeof(T) == typeof(float)
            ? Unsafe.As<T, float>(ref Unsafe.Add(ref row, index))
            : BFloat16Lanes.ToSingle(Unsafe.As<T, ushort>(ref Unsafe.Add(ref row, index)));
    }
}
