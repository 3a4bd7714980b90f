using LLama;
using LLama.Common;
using LLama.Native;

namespace Fossil.Llama.Tests;

/// <summary>A GGUF file's model in llama.cpp, with a context for one text.</summary>
internal sealed class LlamaCpp : IDisposable
{
    private readonly LLamaWeights weights;
    private readonly LLamaContext context;

    /// <param name="path">The GGUF file.</param>
    /// <param name="contextSize">Tokens of the longest text; llama.cpp chooses long rotary factors by it.</param>
    public LlamaCpp(string path, int contextSize = 256)
    {
        var parameters = new ModelParams(path)
        {
            ContextSize = (uint)contextSize,
            GpuLayerCount = 0,
            Threads = 1,
            BatchThreads = 2,
            // Keys and values as exact as ours.
            TypeK = GGMLType.GGML_TYPE_F32,
            TypeV = GGMLType.GGML_TYPE_F32,
            FlashAttention = false,
        };
        weights = LLamaWeights.LoadFromFile(parameters);
        context = weights.CreateContext(parameters);
        Vocabulary = new LlamaVocabulary(weights);
    }

    /// <summary>The file's vocabulary.</summary>
    public LlamaVocabulary Vocabulary { get; }

    /// <summary>The logits of each of a text's tokens, [tokens][vocabulary].</summary>
    public float[][] Logits(IReadOnlyList<int> ids)
    {
        context.NativeHandle.MemoryClear();
        var batch = new LLamaBatch();
        for (var i = 0; i < ids.Count; i++) batch.Add(ids[i], i, LLamaSeqId.Zero, logits: true);
        Decode(batch);
        return [.. ids.Select((_, i) => context.NativeHandle.GetLogitsIth(i).ToArray())];
    }

    /// <summary>The likeliest continuation of a prompt.</summary>
    public int[] Greedy(IReadOnlyList<int> prompt, int count)
    {
        var text = new List<int>();
        var next = Logits(prompt)[^1];
        while (text.Count < count)
        {
            text.Add(Array.IndexOf(next, next.Max()));
            var batch = new LLamaBatch();
            batch.Add(text[^1], prompt.Count + text.Count - 1, LLamaSeqId.Zero, logits: true);
            Decode(batch);
            next = context.NativeHandle.GetLogitsIth(0).ToArray();
        }

        return [.. text];
    }

    /// <summary>Applies a GGUF LoRA from now on, in place of the one before.</summary>
    public void Adapt(string path) => context.NativeHandle.SetLoraAdapters([(weights.NativeHandle.LoadLoraFromFile(path), 1f)]);

    private void Decode(LLamaBatch batch)
    {
        var result = context.Decode(batch);
        if (result != DecodeResult.Ok) throw new InvalidOperationException($"llama.cpp's decoding ended with {result}.");
    }

    public void Dispose()
    {
        context.Dispose();
        Vocabulary.Dispose();
    }
}
