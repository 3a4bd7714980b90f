using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Fossil.Autograd;
using Fossil.Training;
using TorchSharp.Modules;

namespace Fossil.Distributed;

/// <summary>What one rank computes of a batch.</summary>
/// <param name="Group">Which of the step's batches it is of.</param>
/// <param name="First">The place of its first example there.</param>
/// <param name="Examples">The numbers of its examples.</param>
internal sealed record BatchShare(int Group, int First, int[] Examples);

/// <summary>What comes with the gradients of a step.</summary>
/// <param name="Loss">The mean loss.</param>
/// <param name="Tokens">Tokens that were read.</param>
internal sealed record StepSums(double Loss, long Tokens);

/// <summary>A run's dealings with those that train together. Of a process that is alone nothing travels, and all of this says what it says itself.</summary>
/// <param name="group">The processes; null for one that is alone.</param>
internal sealed class DataParallel(ProcessGroup? group)
{
    private GradientReducer? reducer;
    private bool overlaps = true;

    /// <summary>Which of the processes this is.</summary>
    public int Rank => group?.Rank ?? 0;

    /// <summary>How many there are.</summary>
    public int Size => group?.Size ?? 1;

    /// <summary>Whether this one reports and writes files.</summary>
    public bool IsMain => Rank == 0;

    /// <summary>Makes sure that all are about to do the same.</summary>
    /// <exception cref="RanksDifferException">They are not.</exception>
    public void Start<TBatch>(ITrainable model, TrainingArguments arguments, ITrainingData<TBatch> data, ITrainingData<TBatch>? evaluationData, IReadOnlyList<(string Name, Parameter Parameter)> parameters)
        where TBatch : ITrainingBatch
    {
        if (group is null) return;
        group.Timeout = arguments.DdpTimeout;
        if (IsMain) OwnDropout.Report(model.Module);
        RankComparison.RequireSame(group, [.. RunFacts.Of(model, arguments, data, evaluationData, parameters, group.Library)], "Start all ranks with the same program, options, files and libraries.");
    }

    /// <summary>Rank 0's values of parameters become those of all, and what its adapters have started from.</summary>
    public void Share(ITrainable model, IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        if (group is null) return;
        RankComparison.Broadcast(group, [.. parameters.Select(named => named.Parameter), .. model.Adapted?.AdapterBuffers() ?? []]);
        RequireSame(parameters);
    }

    /// <summary>Rank 0's state of an optimizer becomes that of all.</summary>
    public void Share(IOptimizer optimizer)
    {
        if (group is null) return;
        var state = optimizer.GetState().ToDictionary(named => named.Name, named => named.Tensor);
        RankComparison.Broadcast(group, state.Values);
        optimizer.SetState(name => state[name]);
    }

    /// <summary>Throws where the parameters of one rank are no longer those of the others.</summary>
    /// <exception cref="RanksDifferException">They differ.</exception>
    public void RequireSame(IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        if (group is not null) RankComparison.RequireSameParameters(group, parameters, "The ranks no longer train one model: are their processors of one kind, and does nothing but the trainer change parameters?");
    }

    /// <summary>Takes over the gradients of an optimizer's parameters.</summary>
    public void Follow(IOptimizer optimizer, DdpCommHook hook)
    {
        reducer?.Dispose();
        reducer = group is null ? null : new(group, optimizer.GradientPlaces, hook == DdpCommHook.Bf16);
    }

    /// <summary>Does something on rank 0; where it fails, all fail.</summary>
    /// <returns>What it gives there, on all.</returns>
    public string? OnMain(Func<string?> action) => OnMain(action, text => Encoding.UTF8.GetBytes(text ?? "\0"), bytes => bytes is [0] ? null : Encoding.UTF8.GetString(bytes));

    /// <inheritdoc cref="OnMain(Func{string?})"/>
    /// <param name="action">What is done.</param>
    /// <param name="write">What its result looks like on the way.</param>
    /// <param name="read">The inverse.</param>
    public T OnMain<T>(Func<T> action, Func<T, byte[]> write, Func<byte[], T> read)
    {
        if (group is null) return action();
        var result = group.Together(() => IsMain ? write(action()) : []);
        return read(group.Broadcast(result));
    }

    /// <summary>Whether all say yes.</summary>
    public bool All(Func<bool> says) => group is null ? says() : Array.TrueForAll(group.AllGather((byte)(group.Together(says) ? 1 : 0)), said => said == 1);

    /// <summary>Sums over parts, of which each rank computes some; added up in the order of the parts, so that the sum does not depend on the number of ranks.</summary>
    public (double Sum, long Items) Sum(IReadOnlyList<int[]> parts, Func<int[], (double Sum, long Items)> compute)
    {
        (double Sum, long Items)[] Own() => [.. parts.Index().Where(part => part.Index % Size == Rank).Select(part => compute(part.Item))];
        if (group is null) return Add(Own());
        var sums = group.AllGather(MemoryMarshal.AsBytes<(double, long)>(group.Together(Own)));
        return Add(parts.Select((_, part) => MemoryMarshal.Cast<byte, (double, long)>(sums[part % Size])[part / Size]));

        static (double Sum, long Items) Add(IEnumerable<(double Sum, long Items)> all) => all.Aggregate((Sum: 0.0, Items: 0L), (total, part) => (total.Sum + part.Sum, total.Items + part.Items));
    }

    /// <summary>What this rank computes of a step: a slice of each batch, in passes that are no longer than a batch of one rank. A run that began with more ranks has more of them.</summary>
    public IEnumerable<BatchShare> SharesOf(IReadOnlyList<int[]> groups, int longest)
    {
        foreach (var (number, examples) in groups.Index())
        {
            var end = (int)((long)examples.Length * (Rank + 1) / Size);
            for (var first = (int)((long)examples.Length * Rank / Size); first < end; first += longest) yield return new(number, first, examples[first..Math.Min(end, first + longest)]);
        }
    }

    /// <summary>The ranks say what they have of a step.</summary>
    /// <param name="failure">What went wrong with this one's data.</param>
    /// <param name="items">How many of its items count in the loss.</param>
    /// <param name="stops">Whether it is asked to stop.</param>
    /// <returns>How many items count on all ranks, and whether one is asked to stop: all do, after this step.</returns>
    public (double Items, bool Stops) BeginStep(Exception? failure, long items, bool stops)
    {
        ThrowIfAnyFailed(failure);
        if (group is null) return (items, stops);
        var said = group.AllGather((Items: items, Stops: stops ? 1L : 0L));
        return (said.Sum(rank => rank.Items), Array.Exists(said, rank => rank.Stops == 1));
    }

    /// <summary>Before the first forward pass of a step.</summary>
    /// <param name="isExact">Whether nothing of the step may be left to the next one.</param>
    public void BeginGradients(bool isExact) => reducer?.Begin(overlaps, isExact);

    /// <summary>Around the last forward and backward pass of a step: gradients are summed while it runs.</summary>
    public GradientProgress? FollowBackward() => reducer?.Observe();

    /// <summary>Waits until the gradients are those of all ranks. Where one failed, all do.</summary>
    /// <param name="failure">What went wrong on this rank, which keeps step with the others until here.</param>
    /// <param name="mine">Its part of the sums.</param>
    /// <returns>The sums; null where the gradients have to be computed again, because one came when its piece was under way.</returns>
    public StepSums? EndGradients(Exception? failure, StepSums mine)
    {
        if (group is null)
        {
            ThrowIfAnyFailed(failure);
            return mine;
        }

        reducer!.Finish();
        ThrowIfAnyFailed(failure);
        var said = group.AllGather((mine.Loss, mine.Tokens, IsLate: reducer.IsLate ? 1L : 0L));
        if (Array.Exists(said, rank => rank.IsLate == 1))
        {
            overlaps = false;
            if (IsMain) FossilWarnings.Report("A backward pass went through a layer more often than in the first step. Its gradients are computed again, and from now on gradients are summed when the backward pass has ended.");
            return null;
        }

        return new(said.Sum(rank => rank.Loss), said.Sum(rank => rank.Tokens));
    }

    private void ThrowIfAnyFailed(Exception? failure)
    {
        if (group is not null) group.ThrowIfAnyFailed(failure);
        else if (failure is not null) ExceptionDispatchInfo.Throw(failure);
    }
}
