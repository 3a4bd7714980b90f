using Fossil;
using Fossil.Models;
using Fossil.Training;
using static TorchSharp.torch;

/// <summary>Peak resident memory of a fine-tuning run, 2x128 tokens over a bfloat16 base: this library beside libtorch's own autograd. Each method runs in a process of its own.</summary>
internal static class Memory
{
    private const int Steps = 10, Rows = 2, Length = 128;

    public static readonly string[] Methods = ["fossil", "recomputed", "lora", "libtorch"];

    public static async Task<int> RunAll(DirectoryInfo models)
    {
        foreach (var method in Methods)
        {
            if (await OwnProcess.RunAsync("memory", "--models", models.FullName, "--method", method) is not 0 and var code) return code;
        }
        return 0;
    }

    public static void Run(Base source, string method)
    {
        var tokens = source.Text();
        using var model = source.Load(bfloat16);
        model.train();
        var loaded = Base.Resident();
        var (title, first, last) = method switch
        {
            "fossil" => Adapted("FOSSIL r=64", model, tokens, Base.Config(64)),
            "recomputed" => Adapted("FOSSIL r=64 with recomputed activations", Recomputing(model), tokens, Base.Config(64)),
            "lora" => Adapted("LoRA r=32", model, tokens, new LoraConfig { Rank = 32, Alpha = 64, TargetModules = [.. Base.Projections] }),
            "libtorch" => Plain(model, tokens),
            _ => throw new ArgumentException($"There is no method '{method}'. There are: {string.Join(", ", Methods)}."),
        };
        var peak = Base.PeakResident();
        Console.WriteLine($"{title}: peak resident {peak / 1e6:f0} MB, {(peak - loaded) / 1e6:f0} MB over the loaded model; loss {first:f3} to {last:f3} in {Steps} steps");
    }

    private static (string, double, double) Adapted(string title, LlamaForCausalLM model, int[] tokens, AdapterConfig config)
    {
        using var adapted = model.AttachAdapters(config);
        using var optimizer = adapted.CreateOptimizer(5e-4);
        var (first, last) = Train(ids => model.loss(ids, ids), tokens, optimizer);
        return ($"this library, {title}, {adapted.CountParameters().Trainable:n0} parameters", first, last);
    }

    private static LlamaForCausalLM Recomputing(LlamaForCausalLM model)
    {
        foreach (var part in model.modules().OfType<ISupportsGradientCheckpointing>()) part.GradientCheckpointing = true;
        return model;
    }

    private static (string, double, double) Plain(LlamaForCausalLM model, int[] tokens)
    {
        var plain = new PlainLlama(model, new PlainAdapter.Lora(rank: 32, alpha: 64));
        var parameters = plain.Attach().Select(entry => entry.Parameter).ToList();
        using var optimizer = optim.AdamW(parameters, 5e-4, weight_decay: 0);
        var (first, last) = Train(plain.Loss, tokens, optimizer);
        return ($"libtorch's autograd, LoRA r=32, {parameters.Sum(parameter => parameter.numel()):n0} parameters", first, last);
    }

    private static (double First, double Last) Train(Func<Tensor, Tensor> loss, int[] tokens, optim.Optimizer optimizer)
    {
        var losses = new List<double>();
        for (var step = 0; step < Steps; step++)
        {
            using var scope = NewDisposeScope();
            var value = loss(Base.Batch(tokens, step * Rows * Length, Rows, Length));
            value.backward();
            optimizer.step();
            optimizer.zero_grad();
            losses.Add(value.item<float>());
        }
        return (losses[0], losses[^1]);
    }
}
