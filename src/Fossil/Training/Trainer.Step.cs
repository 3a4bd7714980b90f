using Fossil.Concurrency;
using Fossil.Distributed;
using Fossil.Kernels;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Training;

public sealed partial class Trainer<TBatch>
{
    /// <summary>Forward and backward over all batches of the step, then the update. Batches of which nothing counts in the loss are left out; a step of nothing else changes nothing.</summary>
    /// <returns>The norm of the gradients before clipping, and whether the run is to stop.</returns>
    private (double Norm, bool Stops) Step(TrainerState state, IReadOnlyList<int[]> groups, IOptimizer optimizer, StopRequest stop)
    {
        using var entry = ModelGuard.Of(model.Module).Enter();
        model.Module.train();
        var batches = new List<(TBatch Batch, BatchShare Share)>();
        try
        {
            var failure = Failure(() =>
            {
                if (state.GlobalStep % StepsPerFileCheck == 0) SourceFiles.Check(model.Module);
                foreach (var share in Ranks.SharesOf(groups, arguments.BatchSize)) batches.Add((data.GetBatch(share.Examples), share));
            });
            var (items, stops) = Ranks.BeginStep(failure, batches.Sum(batch => batch.Batch.LossItems), stop.IsRequested);
            NoteEmptyStep(state, items == 0);
            if (items == 0) return (0, stops);
            var counted = batches.FindAll(batch => batch.Batch.LossItems > 0);
            var sums = Gradients(state, counted, items, optimizer, stops);
            while (sums is null)
            {
                sums = Gradients(state, counted, items, optimizer, stops);
            }

            var norm = GradientClipping.ClipGradNorm(parameters.Select(named => named.Parameter), arguments.MaxGradNorm, optimizer);
            if (double.IsFinite(sums.Loss) && double.IsFinite(norm))
            {
                optimizer.step();
                state.PendingLoss += sums.Loss;
                state.PendingSteps++;
            }
            else if (arguments.OnNonFiniteLoss == NonFiniteLossAction.Skip)
            {
                state.SkippedSteps++;
            }
            else
            {
                throw new NonFiniteLossException(state.GlobalStep + 1, double.IsFinite(sums.Loss) ? $"the norm of the gradients is {norm}" : $"the loss is {sums.Loss}", lastCheckpoint);
            }

            state.TokensSeen += sums.Tokens;
            return (norm, stops);
        }
        finally
        {
            optimizer.zero_grad();
            foreach (var (batch, _) in batches) batch.Dispose();
        }
    }

    /// <summary>The gradients of the step, summed over all ranks.</summary>
    /// <returns>What comes with them; null where they have to be computed again.</returns>
    private StepSums? Gradients(TrainerState state, List<(TBatch Batch, BatchShare Share)> batches, double items, IOptimizer optimizer, bool stops)
    {
        optimizer.zero_grad();
        manual_seed((long)(DataOrder.Mix(arguments.Seed, state.GlobalStep) >> 1) + Ranks.Rank);
        var (mean, tokens) = (0.0, 0L);
        Ranks.BeginGradients(isExact: stops || MayBeSaved(state.GlobalStep + 1, state.TotalSteps));
        var failure = Failure(() =>
        {
            foreach (var (batch, share) in batches)
            {
                using var scope = NewDisposeScope();
                using var rows = DropoutRows.Use(arguments.Seed, state.GlobalStep, share.Group, share.First, share.Examples.Length);
                using var progress = share == batches[^1].Share ? Ranks.FollowBackward() : null;
                var part = batch.LossItems / items;
                var batchLoss = loss(batch);
                mean += ValueOf(batchLoss) * part;
                optimizer.Backward(part == 1 ? batchLoss : batchLoss.mul(Scalars.Of(part)));
                tokens += batch.Tokens;
            }

            // A failed backward pass has no gradients to sum.
            ModelGuard.Of(model.Module).Failures.ThrowAndForget();
        });
        return Ranks.EndGradients(failure, new(mean, tokens));
    }

    /// <summary>Whether a checkpoint may be written after a step: then nothing of it may be left to the next one's gradients.</summary>
    private bool MayBeSaved(int step, int totalSteps)
    {
        bool IsDue(int every) => step == totalSteps || (every > 0 && step % every == 0);
        return store is not null && (IsDue(arguments.SaveSteps) || (evaluationData is not null && IsDue(arguments.EvalSteps)));
    }

    /// <summary>What goes wrong on this rank; the others hear of it when the ranks next meet, and until then this one keeps step with them.</summary>
    private static Exception? Failure(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception exception)
        {
            return exception;
        }
    }

    /// <summary>Counts a step without anything to learn among the skipped ones. A whole epoch of them, or a whole run, is a mistake in the data.</summary>
    private void NoteEmptyStep(TrainerState state, bool isEmpty)
    {
        emptySteps = isEmpty ? emptySteps + 1 : 0;
        if (!isEmpty) return;
        state.SkippedSteps++;
        if (emptySteps >= Math.Min(state.StepsPerEpoch, state.TotalSteps))
            throw new NoLossItemsException($"{data.Description}: nothing of the {data.Count} examples counts in the loss, so there is nothing to learn. Are all labels masked, or all answers cut off?");
    }
}
