using System.Diagnostics;
using Fossil.Concurrency;
using Fossil.Distributed;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>
/// Trains the parameters of a model with AdamW (transformers: <c>Trainer</c>): schedule, accumulation, clipping, evaluation, checkpoints.
/// A resumed run continues bit for bit: the order of the data and libtorch's random numbers at each step follow from the seed and the step's number.
/// </summary>
/// <remarks>Where a launcher such as <c>mpirun</c> started several processes, they train together: a step's batch is theirs together, all end with the same parameters, and rank 0 reports and writes files. <see cref="Evaluate"/>, too, is called by all of them.
/// However a run or an evaluation ends, each module is in the mode (training or not) that it was found in, and libtorch's random numbers on the CPU go on from where they were. While a step, an evaluation or a checkpoint is made, other threads wait for the model.</remarks>
/// <typeparam name="TBatch">What the loss function takes.</typeparam>
/// <param name="model">What is trained.</param>
/// <param name="loss">Gives the mean loss of a batch over its <see cref="ITrainingBatch.LossItems"/>, a scalar. It runs in a dispose scope of its own.</param>
/// <param name="arguments">The options.</param>
/// <param name="data">The examples to learn from.</param>
/// <param name="evaluationData">The examples to evaluate on.</param>
/// <param name="callbacks">Follow the run, in this order.</param>
public sealed partial class Trainer<TBatch>(
    ITrainable model,
    Func<TBatch, Tensor> loss,
    TrainingArguments arguments,
    ITrainingData<TBatch> data,
    ITrainingData<TBatch>? evaluationData = null,
    IEnumerable<TrainerCallback>? callbacks = null)
    where TBatch : ITrainingBatch
{
    // A file that the model's weights lie in is looked at this often.
    private const int StepsPerFileCheck = 100;

    private List<TrainerCallback> callbacks = [.. callbacks ?? []];
    private readonly CheckpointStore? store = arguments.OutputDirectory is null ? null : new(arguments.OutputDirectory);
    private IReadOnlyList<(string Name, Parameter Parameter)> parameters = [];
    private DataParallel? ranks;
    private int emptySteps;
    private string? lastCheckpoint;

    /// <summary>Trains the default adapter of a model.</summary>
    /// <inheritdoc cref="Trainer{TBatch}(ITrainable, Func{TBatch, Tensor}, TrainingArguments, ITrainingData{TBatch}, ITrainingData{TBatch}, IEnumerable{TrainerCallback})"/>
    public Trainer(
        AdaptedModel model,
        Func<TBatch, Tensor> loss,
        TrainingArguments arguments,
        ITrainingData<TBatch> data,
        ITrainingData<TBatch>? evaluationData = null,
        IEnumerable<TrainerCallback>? callbacks = null)
        : this(new TrainableAdapter(model), loss, arguments, data, evaluationData, callbacks)
    {
    }

    /// <summary>Takes the steps of the run, or the rest of them.</summary>
    /// <param name="resume">Whether to continue from the newest checkpoint of the output folder; without one the run begins.</param>
    /// <param name="cancellation">Ends the run after the current step, with a checkpoint.</param>
    /// <exception cref="TrainingArgumentException">An option is out of range.</exception>
    /// <exception cref="OutputDirectoryException">The output folder cannot be written, or holds checkpoints of another run.</exception>
    /// <exception cref="ResumeMismatchException">The data or the options that order it have changed.</exception>
    /// <exception cref="CheckpointReadException">The checkpoint is damaged.</exception>
    /// <exception cref="CheckpointWriteException">A checkpoint could not be written (a full disk, for one).</exception>
    /// <exception cref="NonFiniteLossException">A loss or gradient is not finite.</exception>
    /// <exception cref="NoLossItemsException">No example has anything that counts in the loss.</exception>
    /// <exception cref="AdapterBackwardException">A backward pass failed; the step was not taken.</exception>
    /// <exception cref="RanksDifferException">Processes that train together have other options, data, parameters or libraries.</exception>
    /// <exception cref="RankFailedException">Another rank failed.</exception>
    public TrainingResult Train(bool resume = false, CancellationToken cancellation = default)
    {
        CheckArguments();
        using var modes = TrainingModes.Of(model.Module);
        using var products = UseBf16Products();
        using var randomState = RandomState.Keep();
        using var stop = new StopRequest(arguments.OutputDirectory, Ranks);
        if (!Ranks.IsMain) callbacks = callbacks.FindAll(callback => callback.RunsOnEveryRank);
        parameters = model.TrainableParameters();
        Ranks.Start(model, arguments, data, evaluationData, parameters);
        lastCheckpoint = Ranks.OnMain(() =>
        {
            store?.Prepare();
            return store?.Latest;
        });
        if (lastCheckpoint is not null && !resume)
        {
            throw new OutputDirectoryException($"{arguments.OutputDirectory} holds {Path.GetFileName(lastCheckpoint)} of an earlier run. Resume it, delete it, or choose another folder.");
        }

        var run = new RunIdentity(data.Description, data.Fingerprint, data.Count, arguments.BatchSize, arguments.GradientAccumulationSteps, arguments.Seed, arguments.Shuffle, Ranks.Size > 1 ? Ranks.Size : null);
        using var optimizer = CreateOptimizer();
        var state = new TrainerState();
        if (lastCheckpoint is not null) (run, state) = Read(lastCheckpoint, optimizer, run);
        Ranks.Share(model, parameters);
        Ranks.Follow(optimizer, arguments.DdpCommHook);
        var order = new DataOrder(data.Count, run.GlobalBatchSize, arguments.GradientAccumulationSteps, arguments.Seed, arguments.Shuffle);
        var totalSteps = arguments.MaxSteps ?? (int)Math.Ceiling(arguments.Epochs * order.StepsPerEpoch);
        var warmup = arguments.WarmupSteps > 0 ? arguments.WarmupSteps : (int)Math.Ceiling(totalSteps * arguments.WarmupRatio);
        (state.TotalSteps, state.StepsPerEpoch) = (totalSteps, order.StepsPerEpoch);
        var schedule = new LearningRateSchedule(arguments.LearningRateScheduler, arguments.LearningRate, warmup, totalSteps);

        foreach (var callback in callbacks) callback.OnTrainBegin(state);
        var outcome = Run(state, order, schedule, optimizer, run, stop, cancellation);
        if (arguments.LoadBestModelAtEnd && state.BestStep is { } best && best != state.GlobalStep) LoadBest(best);
        foreach (var callback in callbacks) callback.OnTrainEnd(state);
        return new(outcome, state, lastCheckpoint);
    }

    /// <summary>The mean loss over all items of the evaluation data, without dropout. Batches of which nothing counts are left out.</summary>
    /// <exception cref="InvalidOperationException">There is no evaluation data.</exception>
    /// <exception cref="NoLossItemsException">Nothing of the evaluation data counts in the loss.</exception>
    public double Evaluate()
    {
        if (evaluationData is null) throw new InvalidOperationException("The trainer was given no evaluation data.");
        using var entry = ModelGuard.Of(model.Module).Enter();
        using var modes = TrainingModes.Evaluate(model.Module);
        using var products = UseBf16Products();
        using var withoutGradient = no_grad();
        var (sum, items) = Ranks.Sum([.. Enumerable.Range(0, evaluationData.Count).Chunk(arguments.EvalBatchSize)], indices =>
        {
            using var scope = NewDisposeScope();
            using var batch = evaluationData.GetBatch(indices);
            return batch.LossItems == 0 ? default : (ValueOf(loss(batch)) * batch.LossItems, batch.LossItems);
        });
        return items > 0 ? sum / items : throw new NoLossItemsException($"{evaluationData.Description}: nothing of the {evaluationData.Count} examples counts in the loss, so there is nothing to evaluate.");
    }

    /// <summary>Those that train together; this process alone where no launcher started it.</summary>
    private DataParallel Ranks => ranks ??= new(ProcessGroup.Current);

    private TrainingOutcome Run(TrainerState state, DataOrder order, LearningRateSchedule schedule, IOptimizer optimizer, RunIdentity run, StopRequest stop, CancellationToken cancellation)
    {
        var clock = new TrainingClock(state);
        while (state.GlobalStep < state.TotalSteps)
        {
            optimizer.LearningRate = schedule.Rate(state.GlobalStep);
            var (norm, stops) = Step(state, order.Batches(state.GlobalStep), optimizer, stop);
            state.GlobalStep++;

            var isLast = state.GlobalStep == state.TotalSteps;
            var goesOn = Ranks.All(() => callbacks.TrueForAll(callback => callback.OnStepEnd(state)) && !cancellation.IsCancellationRequested) && !stops;
            if (isLast || state.GlobalStep % arguments.LoggingSteps == 0) Log(state, clock.Report(state, optimizer.LearningRate, norm));
            var isBest = false;
            var stopsEarly = evaluationData is not null && IsDue(arguments.EvalSteps) && EvaluateAndCompare(state, out isBest);
            if (IsDue(arguments.SaveSteps) || !goesOn || stopsEarly || (isBest && arguments.LoadBestModelAtEnd)) Save(state, optimizer, run);
            if (stopsEarly) return TrainingOutcome.EarlyStopped;
            if (!goesOn && !isLast) return TrainingOutcome.Cancelled;

            bool IsDue(int every) => isLast || (every > 0 && state.GlobalStep % every == 0);
        }

        return TrainingOutcome.Completed;
    }

    private static double ValueOf(Tensor loss) => loss.detach().to(ScalarType.Float64).item<double>();

    private void Log(TrainerState state, TrainingLog log)
    {
        state.Logs.Add(log);
        foreach (var callback in callbacks) callback.OnLog(state, log);
    }

    /// <summary>Evaluates, and notes whether that was an improvement.</summary>
    /// <returns>Whether the run is to end early.</returns>
    private bool EvaluateAndCompare(TrainerState state, out bool isBest)
    {
        var started = Stopwatch.GetTimestamp();
        var evaluation = new EvaluationLog(state.GlobalStep, state.Epoch, Evaluate(), Stopwatch.GetElapsedTime(started).TotalSeconds);
        state.Evaluations.Add(evaluation);
        isBest = state.BestLoss is null || evaluation.Loss < state.BestLoss;
        state.EvaluationsWithoutImprovement = state.BestLoss is null || evaluation.Loss < state.BestLoss - arguments.EarlyStoppingThreshold ? 0 : state.EvaluationsWithoutImprovement + 1;
        if (isBest) (state.BestLoss, state.BestStep) = (evaluation.Loss, state.GlobalStep);
        foreach (var callback in callbacks) callback.OnEvaluate(state, evaluation);
        return state.EvaluationsWithoutImprovement >= arguments.EarlyStoppingPatience;
    }

    private void Save(TrainerState state, IOptimizer optimizer, RunIdentity run)
    {
        if (store is null) return;
        Ranks.RequireSame(parameters);
        lastCheckpoint = Ranks.OnMain(() =>
        {
            string written;
            using (ModelGuard.Of(model.Module).Enter()) written = store.Write(model, optimizer, state, run);
            if (arguments.SaveTotalLimit is { } limit) store.Prune(limit, arguments.LoadBestModelAtEnd ? state.BestStep : null);
            return written;
        });
        foreach (var callback in callbacks) callback.OnSave(state, lastCheckpoint!);
    }

    private (RunIdentity Run, TrainerState State) Read(string checkpoint, IOptimizer optimizer, RunIdentity run)
    {
        using var entry = ModelGuard.Of(model.Module).Enter();
        var contents = Ranks.OnMain(() => CheckpointStore.ReadRun(checkpoint, model, optimizer, run), contents => contents.ToBytes(), CheckpointContents.FromBytes);
        Ranks.Share(optimizer);
        return (contents.Run, contents.State);
    }

    private void LoadBest(int step)
    {
        using var entry = ModelGuard.Of(model.Module).Enter();
        Ranks.OnMain(() =>
        {
            store!.ReadParameters(step, model);
            return null;
        });
        Ranks.Share(model, parameters);
    }

    private IOptimizer CreateOptimizer()
    {
        if (parameters.Count == 0) throw new TrainingArgumentException($"{model.Module.GetType().Name} has no parameter that requires a gradient: attach an adapter, or unfreeze one.");
        var decay = parameters.ToLookup(named => !ParameterNames.IsExcludedFromWeightDecay(named.Name));
        return new FusedAdamW([(decay[true], arguments.WeightDecay), (decay[false], 0)], arguments.LearningRate, arguments.AdamBeta1, arguments.AdamBeta2, arguments.AdamEpsilon);
    }

    /// <summary>Has the adapted model multiply in bfloat16 where <see cref="TrainingArguments.Bf16"/> says so, until the result is disposed.</summary>
    private IDisposable? UseBf16Products()
    {
        if (!arguments.Bf16) return null;
        return model.Adapted is { } adapted ? new Bf16ProductsScope(adapted)
            : throw new TrainingArgumentException($"{nameof(TrainingArguments)}.{nameof(TrainingArguments.Bf16)} is about the products of adapters, and {model.GetType().Name} trains none. Leave it false.");
    }

    private void CheckArguments()
    {
        arguments.Validate();
        if (data.Count == 0) throw new TrainingArgumentException($"{data.Description} has no examples.");
        if (arguments.EarlyStoppingPatience is not null || arguments.LoadBestModelAtEnd)
        {
            if (evaluationData is null) throw new TrainingArgumentException("Early stopping and loading the best model need evaluation data.");
        }

        var checkpointing = model.Module.modules().Prepend(model.Module).OfType<ISupportsGradientCheckpointing>().ToList();
        if (arguments.GradientCheckpointing && checkpointing.Count == 0)
        {
            throw new TrainingArgumentException($"{model.Module.GetType().Name} cannot recompute activations: it has no module that implements {nameof(ISupportsGradientCheckpointing)}.");
        }

        foreach (var module in checkpointing) module.GradientCheckpointing = arguments.GradientCheckpointing;
    }
}
