using System.Diagnostics;
using Fossil;
using Fossil.Models;
using static TorchSharp.torch;

/// <summary>Greedy decoding with an adapter that is not merged, and merged.</summary>
internal static class Decoding
{
    private const int Tokens = 64, Rounds = 5;

    public static void Run(Base source)
    {
        using var model = source.Load(bfloat16);
        var prompt = source.Text()[..64];
        using var adapted = model.AttachAdapters(Base.Config(64));
        double Unmerged() => PerToken(model, prompt);
        double Merged()
        {
            adapted.Merge();
            var seconds = PerToken(model, prompt);
            adapted.Unmerge();
            return seconds;
        }
        _ = (Unmerged(), Merged());
        var pairs = Enumerable.Range(0, Rounds).Select(_ => (Unmerged: Unmerged(), Merged: Merged())).ToArray();
        var (unmerged, merged) = (Base.Median(pairs.Select(p => p.Unmerged)), Base.Median(pairs.Select(p => p.Merged)));
        Console.WriteLine($"unmerged {unmerged * 1e3:f1} ms a token, merged {merged * 1e3:f1} ms, ratio {unmerged / merged:f3}");
    }

    private static double PerToken(LlamaForCausalLM model, int[] prompt)
    {
        var seconds = new List<double>();
        var clock = Stopwatch.StartNew();
        model.Generate(prompt, new GenerationOptions { MaxNewTokens = Tokens, StopTokens = [] }, onToken: _ =>
        {
            seconds.Add(clock.Elapsed.TotalSeconds);
            clock.Restart();
        });
        // The first is the prompt's.
        return Base.Median(seconds.Skip(1));
    }
}
