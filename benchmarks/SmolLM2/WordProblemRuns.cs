using System.Text.Json.Nodes;
using Fossil;
using Fossil.Models;
using Fossil.Training;
using static TorchSharp.torch;

/// <summary>How far a step is from PEFT's, relative to PEFT's number.</summary>
/// <param name="Step">The step, from 1.</param>
/// <param name="Loss">Of the loss.</param>
/// <param name="Norm">Of the norm of all gradients, before clipping.</param>
internal readonly record struct StepDeviation(int Step, double Loss, double Norm);

/// <summary>
/// The runs on the word problems that PEFT made over the float32 base, made again step by step: the same problems in the same order, padded to the longest of a batch, the loss on the
/// answers alone, a warm-up, clipping, AdamW. Over the float32 base two of PEFT's own runs stay within 1.2e-5 (losses) and 8.3e-5 (norms) of each other, so a fault in any of these shows.
/// </summary>
/// <param name="folder">SmolLM2's folder, with its reference.</param>
internal sealed class WordProblemRuns(string folder)
{
    /// <summary>How far a loss and a norm may be from PEFT's.</summary>
    public const double LossBar = 1e-4, NormBar = 5e-4;

    private const int BatchSize = 8, WarmupSteps = 10, ShardSize = 32;
    private const double LearningRate = 5e-4, MaxGradNorm = 1;

    private static readonly string[] Projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    private readonly JsonNode reference = JsonNode.Parse(File.ReadAllBytes(ReferenceFile(folder, "runs.json")))!;
    private readonly string modelPath = Path.Combine(folder, "SmolLM2-135M-Instruct.Q4_1.gguf");

    /// <summary>The names of the runs: <c>lora</c>, <c>miss</c>.</summary>
    public IEnumerable<string> Names => reference["runs"]!.AsObject().Select(run => run.Key);

    /// <summary>Takes the first steps of a run.</summary>
    /// <param name="name">Which run.</param>
    /// <param name="steps">How many steps; all of the reference where null.</param>
    public IEnumerable<StepDeviation> Take(string name, int? steps = null)
    {
        var run = reference["runs"]![name]!;
        var (losses, norms) = (Numbers(run["losses"]!), Numbers(run["grad_norms"]!));
        int[] order = [.. reference["order"]!.AsArray().Select(index => (int)index!)];
        var data = new WordProblems(modelPath).TrainingData();
        if (data.Report is not { Cut: 0, Dropped: 0 }) throw new InvalidDataException($"The problems are not those of the reference: {data.Report}");

        using var model = LlamaForCausalLM.FromGguf(modelPath, float32);
        using var adapted = Adapt(model, name);
        using var optimizer = adapted.CreateOptimizer();
        model.train();
        for (var step = 0; step < (steps ?? losses.Length); step++)
        {
            using var scope = NewDisposeScope();
            using var batch = data.GetBatch(order.AsSpan(step * BatchSize, BatchSize).ToArray());
            optimizer.LearningRate = LearningRate * Math.Min(1, (step + 1.0) / WarmupSteps);
            var loss = model.loss(batch);
            loss.backward();
            var norm = GradientClipping.ClipGradNorm(adapted.TrainableParameters().Select(named => named.Parameter), MaxGradNorm);
            optimizer.step();
            optimizer.zero_grad();
            yield return new(step + 1, Relative(loss.item<float>(), losses[step]), Relative(norm, norms[step]));
        }
    }

    /// <summary>LoRA's start is random, so it is read from the reference; a shard starts at zero.</summary>
    private AdaptedModel Adapt(LlamaForCausalLM model, string name) => ReferenceFile(folder, $"{name}-initial") is var start && Directory.Exists(start)
        ? model.LoadPretrained(start, isTrainable: true)
        : model.AttachAdapters(new FossilConfig { TargetModules = [.. Projections], ShardSize = ShardSize });

    private static string ReferenceFile(string folder, string name) => Path.Combine(folder, "reference", "word-problems", name);

    private static double[] Numbers(JsonNode list) => [.. list.AsArray().Select(number => (double)number!)];

    private static double Relative(double value, double truth) => Math.Abs((value / truth) - 1);
}
