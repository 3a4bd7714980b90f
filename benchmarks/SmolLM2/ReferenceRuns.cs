using System.Text.Json.Nodes;
using Fossil;
using Fossil.Models;
using Fossil.Serialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

/// <summary>Every fine-tuning run of the reference beside PEFT's: the largest relative difference of a loss, and the perplexities; and PEFT's own trained adapter.</summary>
internal sealed class ReferenceRuns(Base source, bool isByLibTorch, GradientElement? firstGradient)
{
    private const int HeldOutWindows = 16, HeldOutLength = 256;
    private bool allWithin = true;

    /// <returns>Whether every number is within its bar.</returns>
    public bool Run(string only)
    {
        var tokens = source.Text();
        var runs = JsonNode.Parse(File.ReadAllBytes(source.ReferenceFile("reference.json")))!["runs"]!.AsArray();
        foreach (var run in runs)
        {
            if ($"{run!["name"]} {run["dtype"]}".Contains(only, StringComparison.Ordinal)) Compare(tokens, run);
        }
        if (isByLibTorch) return allWithin;
        var trained = runs.First(run => (string)run!["name"]! == "miss-r16" && (string)run["dtype"]! == "float32")!;
        using var model = source.Load(float32);
        using var adapted = model.LoadPretrained(source.ReferenceFile("miss-r16"));
        Console.WriteLine("miss-r16 as PEFT trained it");
        Report("perplexity", Perplexity(model, tokens, (int)trained["held_out_start"]!), (double)trained["perplexity_after"]!, 1e-3);
        return allWithin;
    }

    private void Compare(int[] tokens, JsonNode run)
    {
        var (name, isExact) = ((string)run["name"]!, (string)run["dtype"]! == "float32");
        var (lossBar, perplexityBar) = isExact ? (1e-4, 1e-3) : (2e-2, 1e-2);
        using var model = source.Load(isExact ? float32 : bfloat16);
        if (isByLibTorch)
        {
            // What PEFT computes, by the same operations: how far another machine and version move the numbers.
            if (!name.StartsWith("miss", StringComparison.Ordinal)) return;
            Console.WriteLine($"{name}, base in {run["dtype"]}, by libtorch's operations and autograd");
            var plain = new PlainLlama(model, new PlainAdapter.Shard(Size(name)));
            var parameters = plain.Attach();
            using var plainOptimizer = optim.AdamW(parameters.Select(entry => entry.Parameter), (double)run["learning_rate"]!, weight_decay: 0);
            ReportLosses(Train(plain.Loss, parameters, plainOptimizer, tokens, run), lossBar);
            return;
        }
        Console.WriteLine($"{name}, base in {run["dtype"]}");
        using var adapted = model.AttachAdapters(Config(name));
        if (name.StartsWith("lora", StringComparison.Ordinal)) SetStart(adapted, source.ReferenceFile($"{name}-initial.safetensors"));
        var start = (int)run["held_out_start"]!;
        Report("perplexity before", Perplexity(model, tokens, start), (double)run["perplexity_before"]!, perplexityBar);
        model.train();
        using var optimizer = adapted.CreateOptimizer((double)run["learning_rate"]!);
        ReportLosses(Train(ids => model.loss(ids, ids), adapted.TrainableParameters(), optimizer, tokens, run), lossBar);
        Report("perplexity after", Perplexity(model, tokens, start), (double)run["perplexity_after"]!, perplexityBar);
    }

    private static int Size(string name) => int.Parse(name[(name.IndexOf("-r", StringComparison.Ordinal) + 2)..]);

    private static AdapterConfig Config(string name)
    {
        var size = Size(name);
        return name.Split('-')[0] switch
        {
            "lora" => new LoraConfig { Rank = size, Alpha = 16, TargetModules = [.. Base.Projections] },
            "bat" => Base.Config(size, FossilVariant.Bat),
            _ => Base.Config(size),
        };
    }

    /// <summary>LoRA's A is random; this is the one that PEFT's run began with.</summary>
    private static void SetStart(AdaptedModel adapted, string path)
    {
        using var noGrad = no_grad();
        using var start = SafetensorsFile.Open(path);
        foreach (var (name, parameter) in adapted.TrainableParameters())
        {
            if (name.Contains(".lora_A.", StringComparison.Ordinal)) start.LoadInto("base_model.model." + name.Replace(".default", "", StringComparison.Ordinal), parameter);
        }
    }

    /// <summary>The relative difference of each step's loss from PEFT's.</summary>
    private List<double> Train(Func<Tensor, Tensor> lossOf, IReadOnlyList<(string Name, Parameter Parameter)> parameters, optim.Optimizer optimizer, int[] tokens, JsonNode run)
    {
        var (batch, length, losses) = ((int)run["batch"]!, (int)run["length"]!, run["losses"]!.AsArray());
        var differences = new List<double>();
        for (var step = 0; step < losses.Count; step++)
        {
            using var scope = NewDisposeScope();
            var loss = lossOf(Base.Batch(tokens, step * batch * length, batch, length));
            loss.backward();
            if (step == 0) firstGradient?.Set(parameters);
            optimizer.step();
            optimizer.zero_grad();
            differences.Add(Math.Abs((loss.item<float>() / (double)losses[step]!) - 1));
        }
        return differences;
    }

    private void ReportLosses(List<double> differences, double bar)
    {
        // A loss that is no number is the worst of all.
        var (index, worst) = differences.Index().MaxBy(difference => double.IsNaN(difference.Item) ? double.PositiveInfinity : difference.Item);
        Console.WriteLine($"  {differences.Count} losses: within {worst:0.0E-0} of PEFT's (step {index + 1}; bar {bar:0E-0}){Verdict(worst <= bar)}");
        if (!(worst <= bar)) Console.WriteLine($"  each: {string.Join(" ", differences.Select(difference => difference.ToString("0.0E-0")))}");
    }

    private static double Perplexity(LlamaForCausalLM model, int[] tokens, int start)
    {
        model.eval();
        using var noGrad = no_grad();
        double sum = 0;
        for (var window = 0; window < HeldOutWindows; window++)
        {
            using var scope = NewDisposeScope();
            var ids = Base.Batch(tokens, start + (window * HeldOutLength), 1, HeldOutLength);
            sum += model.loss(ids, ids).item<float>();
        }
        return Math.Exp(sum / HeldOutWindows);
    }

    private void Report(string title, double value, double peft, double bar)
    {
        var difference = Math.Abs((value / peft) - 1);
        Console.WriteLine($"  {title}: {value:f4}, PEFT {peft:f4}, relative difference {difference:0.0E-0} (bar {bar:0E-0}){Verdict(difference <= bar)}");
    }

    private string Verdict(bool isWithin)
    {
        allWithin &= isWithin;
        return isWithin ? "" : "  OUTSIDE";
    }
}
