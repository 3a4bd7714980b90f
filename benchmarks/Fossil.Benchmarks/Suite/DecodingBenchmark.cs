using System.Diagnostics;
using Fossil.Models;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Greedy decoding in bfloat16, one text: without an adapter, with FOSSIL r=64 unmerged, and merged. The floor is reading the weights once.</summary>
internal static class DecodingBenchmark
{
    private const int PromptTokens = 64, NewTokens = 48;

    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        var prompt = context.Source.Text()[..PromptTokens];
        using var scope = new Disposables();
        var (plain, unmerged, merged) = (scope.Add(context.Source.Load(bfloat16)), scope.Add(context.Source.Load(bfloat16)), scope.Add(context.Source.Load(bfloat16)));
        scope.Add(unmerged.AttachAdapters(Base.Config(64)));
        scope.Add(merged.AttachAdapters(Base.Config(64))).Merge();
        var spreads = Turns.Take(context.Rounds(9), () => PerToken(plain), () => PerToken(unmerged), () => PerToken(merged));
        var floors = ((LlamaForCausalLM[])[plain, unmerged, plain]).Select(model => context.MillisecondsOf(model.parameters().Sum(parameter => parameter.numel() * parameter.element_size())));
        return ((string[])["base", "FOSSIL r=64, unmerged", "FOSSIL r=64, merged"]).Zip(spreads, floors).Select(row => new BenchmarkRow(
            "decoding", $"a token, {row.First}", "ms", row.Second, null, null, new(row.Third, row.Third, row.Third), [new("reading the weights", row.Second.Median / row.Third, 1.6)])).ToList();

        double PerToken(LlamaForCausalLM model)
        {
            var times = new List<double>();
            var start = Stopwatch.GetTimestamp();
            model.Generate(prompt, new GenerationOptions { MaxNewTokens = NewTokens, StopTokens = [] }, onToken: _ =>
            {
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                start = Stopwatch.GetTimestamp();
            });
            // The first is the prompt's.
            return Spread.Of(times.Skip(1)).Median;
        }
    }
}
