using System.Text.Json.Nodes;
using Fossil;
using Fossil.Models;
using static TorchSharp.torch;

/// <summary>Every fine-tuning run of the reference: the largest relative difference of a loss, and the perplexities.</summary>
internal static class ReferenceRuns
{
    private const int HeldOutWindows = 16, HeldOutLength = 256;

    public static void Run(Base source)
    {
        var tokens = source.Text();
        foreach (var run in JsonNode.Parse(File.ReadAllBytes(source.Reference))!["runs"]!.AsArray())
        {
            var name = (string)run!["name"]!;
            if (name.StartsWith("lora", StringComparison.Ordinal)) continue;
            var dtype = (string)run["dtype"]! == "float32" ? float32 : bfloat16;
            using var model = source.Load(dtype);
            var config = Base.Config(int.Parse(name[(name.IndexOf("-r", StringComparison.Ordinal) + 2)..]), name.StartsWith("bat", StringComparison.Ordinal) ? FossilVariant.Bat : FossilVariant.Balance);
            using var adapted = model.AttachAdapters(config);
            var start = (int)run["held_out_start"]!;
            var before = Perplexity(model, tokens, start);
            var worst = Train(model, adapted, tokens, run);
            var after = Perplexity(model, tokens, start);
            Console.WriteLine($"{name} {dtype}: losses within {worst:e1}; perplexity {before:f2} -> {after:f2}, PEFT {(double)run["perplexity_before"]!:f2} -> {(double)run["perplexity_after"]!:f2}");
        }
    }

    private static double Train(LlamaForCausalLM model, AdaptedModel adapted, int[] tokens, JsonNode run)
    {
        model.train();
        var (batch, length, losses) = ((int)run["batch"]!, (int)run["length"]!, run["losses"]!.AsArray());
        using var optimizer = adapted.CreateOptimizer((double)run["learning_rate"]!);
        double worst = 0;
        for (var step = 0; step < losses.Count; step++)
        {
            using var scope = NewDisposeScope();
            var ids = Base.Batch(tokens, step * batch * length, batch, length);
            var loss = model.loss(ids, ids);
            loss.backward();
            optimizer.step();
            optimizer.zero_grad();
            worst = Math.Max(worst, Math.Abs(loss.item<float>() / (double)losses[step]! - 1));
        }
        return worst;
    }

    private static double Perplexity(LlamaForCausalLM model, int[] tokens, int start)
    {
        model.eval();
        using var noGrad = no_grad();
        double sum = 0;
        for (var window = 0; window < HeldOutWindows; window++)
        {
            using var scope = NewDisposeScope();
            var ids = Base.Batch(tokens, start + window * HeldOutLength, 1, HeldOutLength);
            sum += model.loss(ids, ids).item<float>();
        }
        return Math.Exp(sum / HeldOutWindows);
    }
}
