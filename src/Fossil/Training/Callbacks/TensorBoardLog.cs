using TorchSharp;
using TorchSharp.Modules;

namespace Fossil.Training;

/// <summary>Writes reports and evaluations as TensorBoard's event files, with the names that transformers uses.</summary>
/// <param name="folder">The folder; each run adds a file to it.</param>
public sealed class TensorBoardLog(string folder) : TrainerCallback
{
    private SummaryWriter? writer;

    /// <inheritdoc/>
    public override void OnTrainBegin(TrainerState state) => writer = torch.utils.tensorboard.SummaryWriter(folder);

    /// <inheritdoc/>
    public override void OnLog(TrainerState state, TrainingLog log)
    {
        Add("train/loss", log.Loss, log.Step);
        Add("train/learning_rate", log.LearningRate, log.Step);
        Add("train/grad_norm", log.GradientNorm, log.Step);
        Add("train/tokens_per_second", log.TokensPerSecond, log.Step);
        Add("train/epoch", log.Epoch, log.Step);
    }

    /// <inheritdoc/>
    public override void OnEvaluate(TrainerState state, EvaluationLog evaluation) => Add("eval/loss", evaluation.Loss, evaluation.Step);

    private void Add(string tag, double value, int step) => writer?.add_scalar(tag, (float)value, step);
}
