using System.Text;
using LLama;
using LLama.Common;
using LLama.Native;

namespace Fossil.Llama.Tests;

/// <summary>A GGUF file's vocabulary in llama.cpp.</summary>
internal sealed class LlamaVocabulary(LLamaWeights weights) : IDisposable
{
    /// <summary>Loads the vocabulary of a file alone, which needs no tensors.</summary>
    public LlamaVocabulary(string path)
        : this(LLamaWeights.LoadFromFile(new ModelParams(path) { VocabOnly = true, GpuLayerCount = 0 }))
    {
    }

    /// <summary>The tokens at which llama.cpp ends a text.</summary>
    public int[] Ends => [.. Enumerable.Range(0, weights.Vocab.Count).Where(id => ((LLamaToken)id).IsEndOfGeneration(weights.Vocab))];

    /// <summary>The ids of a text; special tokens in it are recognised.</summary>
    public int[] Tokens(string text, bool addSpecialTokens = false) => [.. weights.Tokenize(text, addSpecialTokens, special: true, Encoding.UTF8).Select(token => (int)token)];

    public void Dispose() => weights.Dispose();
}
