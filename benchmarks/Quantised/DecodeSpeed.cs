using System.Diagnostics;
using System.Numerics.Tensors;
using Fossil.Benchmarks;
using Fossil.Models;
using LLama;
using LLama.Common;
using LLama.Native;
using static TorchSharp.torch;

/// <summary>Greedy decoding over the blocks of a file, here and by llama.cpp on the same file with as many threads, in turns, beside the time of reading the file's tensors once.</summary>
internal static class DecodeSpeed
{
    private const int WarmUp = 1, Repetitions = 7, PromptTokens = 64, NewTokens = 48;

    public static void Run(string path)
    {
        using var noGrad = no_grad();
        var prompt = Enumerable.Range(1, PromptTokens).ToArray();
        using var model = AutoModelForCausalLM.FromGguf(path, bfloat16, keepQuantized: true);
        model.eval();
        using var client = new Client(path);
        var bandwidth = Machine.ReadBandwidth();
        var (own, other) = (new List<double>(), new List<double>());
        for (var round = -WarmUp; round < Repetitions; round++)
        {
            var (ours, theirs) = (PerToken(model, prompt), client.PerToken(prompt));
            if (round < 0) continue;
            own.Add(ours);
            other.Add(theirs);
        }

        var ratio = StepTime.Median(other.Zip(own, (theirs, ours) => theirs / ours));
        var floor = new FileInfo(path).Length / (bandwidth * 1e6);
        var here = StepTime.Median(own);
        Console.WriteLine(
            $"{Path.GetFileName(path)}, {get_num_threads()} threads, behind {PromptTokens} tokens: {1e3 / here:f0} tokens/s here ({here:f2} ms), {1e3 / StepTime.Median(other):f0} in llama.cpp, {ratio:f2} times as many; {here / floor:f2} times reading the file at {bandwidth:f1} GB/s");
    }

    private static double PerToken(CausalLM model, int[] prompt)
    {
        var times = new List<double>();
        var start = Stopwatch.GetTimestamp();
        model.Generate(prompt, new GenerationOptions { MaxNewTokens = NewTokens, StopTokens = [] }, onToken: _ =>
        {
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            start = Stopwatch.GetTimestamp();
        });
        // The first is the prompt's.
        return StepTime.Median(times.Skip(1));
    }

    /// <summary>llama.cpp with its own defaults.</summary>
    private sealed class Client : IDisposable
    {
        private readonly LLamaWeights weights;
        private readonly LLamaContext context;

        public Client(string path)
        {
            NativeLogConfig.llama_log_set((_, _) => { });
            var parameters = new ModelParams(path) { ContextSize = 256, GpuLayerCount = 0, Threads = get_num_threads(), BatchThreads = get_num_threads() };
            weights = LLamaWeights.LoadFromFile(parameters);
            context = weights.CreateContext(parameters);
        }

        public double PerToken(int[] prompt)
        {
            context.NativeHandle.MemoryClear();
            var batch = new LLamaBatch();
            for (var i = 0; i < prompt.Length; i++) batch.Add(prompt[i], i, LLamaSeqId.Zero, logits: i == prompt.Length - 1);
            Decode(batch);
            var token = TensorPrimitives.IndexOfMax<float>(context.NativeHandle.GetLogitsIth(prompt.Length - 1));
            var times = new List<double>();
            for (var i = 1; i < NewTokens; i++)
            {
                var start = Stopwatch.GetTimestamp();
                batch = new LLamaBatch();
                batch.Add(token, prompt.Length + i - 1, LLamaSeqId.Zero, logits: true);
                Decode(batch);
                token = TensorPrimitives.IndexOfMax<float>(context.NativeHandle.GetLogitsIth(0));
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }

            return StepTime.Median(times);
        }

        private void Decode(LLamaBatch batch)
        {
            if (context.Decode(batch) is var result and not DecodeResult.Ok) throw new InvalidOperationException($"llama.cpp's decoding ended with {result}.");
        }

        public void Dispose()
        {
            context.Dispose();
            weights.Dispose();
        }
    }
}
