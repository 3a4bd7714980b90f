namespace Fossil.Training;

/// <summary>What happens at a step whose loss or gradient is not a finite number.</summary>
public enum NonFiniteLossAction
{
    /// <summary>The run stops with a <see cref="NonFiniteLossException"/>; the last checkpoint stays.</summary>
    Stop,

    /// <summary>The step is left out: its gradients are dropped, its data and its place in the schedule are spent.</summary>
    Skip,
}

/// <summary>What the ranks of a run send each other of their gradients (accelerate: <c>ddp_comm_hook</c>).</summary>
public enum DdpCommHook
{
    /// <summary>The gradients as they are.</summary>
    None,

    /// <summary>float32 gradients as bfloat16, half the bytes. What rounding loses is added to the next step's gradients.</summary>
    Bf16,
}

/// <summary>The options of a training run, named as in transformers' <c>TrainingArguments</c>.</summary>
public sealed record TrainingArguments
{
    /// <summary>The folder of the checkpoints and logs (<c>output_dir</c>). Null: nothing is written.</summary>
    public string? OutputDirectory { get; init; }

    /// <summary>The full learning rate (<c>learning_rate</c>).</summary>
    public double LearningRate { get; init; } = 5e-5;

    /// <summary>How the learning rate runs (<c>lr_scheduler_type</c>).</summary>
    public LearningRateSchedulerType LearningRateScheduler { get; init; } = LearningRateSchedulerType.Linear;

    /// <summary>Steps over which the learning rate rises from zero (<c>warmup_steps</c>).</summary>
    public int WarmupSteps { get; init; }

    /// <summary>The same as a share of all steps, rounded up (<c>warmup_ratio</c>); used where <see cref="WarmupSteps"/> is 0.</summary>
    public double WarmupRatio { get; init; }

    /// <summary>Passes over the data (<c>num_train_epochs</c>); used where <see cref="MaxSteps"/> is null.</summary>
    public double Epochs { get; init; } = 3;

    /// <summary>Optimizer steps (<c>max_steps</c>); the data is repeated as often as needed.</summary>
    public int? MaxSteps { get; init; }

    /// <summary>Examples of one forward pass (<c>per_device_train_batch_size</c>), of each process where several train together.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Examples of one forward pass of the evaluation (<c>per_device_eval_batch_size</c>).</summary>
    public int EvalBatchSize { get; init; } = 8;

    /// <summary>Forward and backward passes of one optimizer step (<c>gradient_accumulation_steps</c>). The loss is the mean over all their items, as if it were one batch.</summary>
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary>The largest norm of all gradients together (<c>max_grad_norm</c>); 0 does not clip.</summary>
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Decoupled weight decay (<c>weight_decay</c>); not on the parameters of <see cref="ParameterNames.IsExcludedFromWeightDecay"/>.</summary>
    public double WeightDecay { get; init; }

    /// <summary>AdamW's beta1 (<c>adam_beta1</c>).</summary>
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>AdamW's beta2 (<c>adam_beta2</c>).</summary>
    public double AdamBeta2 { get; init; } = 0.999;

    /// <summary>AdamW's epsilon (<c>adam_epsilon</c>).</summary>
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Seeds the order of the data and the dropout (<c>seed</c>).</summary>
    public int Seed { get; init; } = 42;

    /// <summary>Whether each epoch has its own random order; otherwise the data is taken as it stands.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Whether activations are recomputed in the backward pass instead of kept (<c>gradient_checkpointing</c>); the model must support it.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>Whether the adapted projections multiply in bfloat16 (<c>bf16</c>), in training and evaluation: <see cref="AdaptedModel.Bf16Products"/> for that time. Where false, what that property says holds.</summary>
    public bool Bf16 { get; init; }

    /// <summary>Steps between two reports (<c>logging_steps</c>).</summary>
    public int LoggingSteps { get; init; } = 10;

    /// <summary>Steps between two checkpoints (<c>save_steps</c>); 0 saves only at the end.</summary>
    public int SaveSteps { get; init; } = 500;

    /// <summary>Checkpoints that are kept (<c>save_total_limit</c>): the newest ones, and the best one where <see cref="LoadBestModelAtEnd"/>. Null keeps all.</summary>
    public int? SaveTotalLimit { get; init; }

    /// <summary>Steps between two evaluations (<c>eval_steps</c>); 0 evaluates only at the end.</summary>
    public int EvalSteps { get; init; }

    /// <summary>Evaluations without improvement after which the run ends (transformers: <c>EarlyStoppingCallback</c>); null never.</summary>
    public int? EarlyStoppingPatience { get; init; }

    /// <summary>By how much the evaluation loss must fall to count as an improvement.</summary>
    public double EarlyStoppingThreshold { get; init; }

    /// <summary>Whether the run ends with the parameters of the lowest evaluation loss (<c>load_best_model_at_end</c>). Each evaluation is then saved if it is the best.</summary>
    public bool LoadBestModelAtEnd { get; init; }

    /// <summary>What happens when a loss is not finite.</summary>
    public NonFiniteLossAction OnNonFiniteLoss { get; init; }

    /// <summary>Where several processes train together: for how long one waits for the others before the job is ended (<c>ddp_timeout</c>).</summary>
    public TimeSpan DdpTimeout { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>Where several processes train together: how gradients travel (<c>ddp_comm_hook</c>).</summary>
    public DdpCommHook DdpCommHook { get; init; }

    /// <summary>Throws where an option is out of range or needs another one.</summary>
    /// <exception cref="TrainingArgumentException">Names the option and what it must be.</exception>
    public void Validate()
    {
        Require(LearningRate > 0 && double.IsFinite(LearningRate), nameof(LearningRate), LearningRate, "a positive number");
        Require(WarmupSteps >= 0, nameof(WarmupSteps), WarmupSteps, "0 or more");
        Require(WarmupRatio is >= 0 and <= 1, nameof(WarmupRatio), WarmupRatio, "between 0 and 1");
        Require(MaxSteps is null or > 0, nameof(MaxSteps), MaxSteps, "1 or more, or null");
        Require(MaxSteps is not null || (Epochs > 0 && double.IsFinite(Epochs)), nameof(Epochs), Epochs, "a positive number");
        Require(BatchSize > 0, nameof(BatchSize), BatchSize, "1 or more");
        Require(EvalBatchSize > 0, nameof(EvalBatchSize), EvalBatchSize, "1 or more");
        Require(GradientAccumulationSteps > 0, nameof(GradientAccumulationSteps), GradientAccumulationSteps, "1 or more");
        Require(MaxGradNorm >= 0, nameof(MaxGradNorm), MaxGradNorm, "0 (off) or more");
        Require(WeightDecay >= 0, nameof(WeightDecay), WeightDecay, "0 or more");
        Require(LoggingSteps > 0, nameof(LoggingSteps), LoggingSteps, "1 or more");
        Require(SaveSteps >= 0, nameof(SaveSteps), SaveSteps, "0 (only at the end) or more");
        Require(SaveTotalLimit is null or > 0, nameof(SaveTotalLimit), SaveTotalLimit, "1 or more, or null");
        Require(EvalSteps >= 0, nameof(EvalSteps), EvalSteps, "0 (only at the end) or more");
        Require(EarlyStoppingPatience is null or > 0, nameof(EarlyStoppingPatience), EarlyStoppingPatience, "1 or more, or null");
        Require(EarlyStoppingPatience is null || EvalSteps > 0, nameof(EvalSteps), EvalSteps, $"1 or more where {nameof(EarlyStoppingPatience)} is set");
        Require(DdpTimeout > TimeSpan.Zero, nameof(DdpTimeout), DdpTimeout, "longer than nothing");
        Require(!LoadBestModelAtEnd || OutputDirectory is not null, nameof(OutputDirectory), OutputDirectory, $"a folder where {nameof(LoadBestModelAtEnd)} is set");
    }

    private static void Require(bool holds, string option, object? value, string expected)
    {
        if (!holds) throw new TrainingArgumentException($"{nameof(TrainingArguments)}.{option} is {value ?? "null"}; it must be {expected}.");
    }
}
