using Fossil.Models;
using Fossil.Models.Export;
using Fossil.Training;
using static TorchSharp.torch;

namespace Fossil.Llama.Tests;

/// <summary>Perplexities of held-out text before and after an adapter was trained over the blocks of a GGUF file: here, over these blocks in float32, and in llama.cpp, over the same file with the exported adapter beside it.</summary>
/// <param name="Base">The base's, here.</param>
/// <param name="Adapted">With the adapter, here.</param>
/// <param name="ServedBase">The base's in llama.cpp.</param>
/// <param name="ServedAdapted">With the adapter in llama.cpp.</param>
internal sealed record ServedAdapter(double Base, double Adapted, double ServedBase, double ServedAdapted)
{
    /// <summary>By how much what the adapter changes in perplexity differs in llama.cpp.</summary>
    public double DifferenceOfChange => Math.Abs(((ServedBase - ServedAdapted) / (Base - Adapted)) - 1);

    /// <summary>By how much the base's perplexity differs in llama.cpp.</summary>
    public double DifferenceOfBase => Math.Abs((ServedBase / Base) - 1);

    /// <summary>Trains (FOSSIL, r = 64, two windows a step in bfloat16), exports and compares.</summary>
    /// <param name="path">The GGUF file.</param>
    /// <param name="windows">Texts of one length, of which the last are held out.</param>
    /// <param name="heldOut">How many.</param>
    /// <param name="steps">Training steps.</param>
    /// <param name="folder">Where the adapter is written to.</param>
    /// <param name="compare">Is given our logits of the first held-out text with the adapter, and llama.cpp's.</param>
    public static ServedAdapter Measure(string path, IReadOnlyList<int[]> windows, int heldOut, int steps, string folder, Action<float[][], float[][]>? compare = null)
    {
        var (training, texts) = (windows.SkipLast(heldOut).ToArray(), windows.TakeLast(heldOut).ToArray());
        var lora = Path.Combine(folder, "adapter.gguf");
        using (var model = LlamaForCausalLM.FromGguf(path, bfloat16, keepQuantized: true))
        using (var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 64 }))
        {
            var data = TokenData.FromWindows(training.SelectMany(ids => ids).ToArray(), windows[0].Length, path);
            new Trainer<TokenBatch>(adapted, model.loss, new TrainingArguments { LearningRate = 1e-3, MaxSteps = steps, BatchSize = 2, Bf16 = true }, data).Train();
            adapted.SavePretrained(folder);
            adapted.SaveGgufLora(lora);
        }

        using var exact = LlamaForCausalLM.FromGguf(path, keepQuantized: true);
        using var loaded = exact.LoadPretrained(folder);
        using var client = new LlamaCpp(path);
        var (ours, servedBase) = (Perplexity.Of(texts, ids => Logits.Of(exact, ids)), Perplexity.Of(texts, client.Logits));
        client.Adapt(lora);
        compare?.Invoke(Logits.Of(exact, texts[0]), client.Logits(texts[0]));
        using var withoutAdapter = loaded.DisableAdapters();
        return new(Perplexity.Of(texts, ids => Logits.Of(exact, ids)), ours, servedBase, Perplexity.Of(texts, client.Logits));
    }
}
