using Fossil.Models;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Quantised;

/// <summary>A Llama of random weights with the widths of TinyLlama-1.1B.</summary>
internal static class LargeLlama
{
    public static void Write(string path, GgufTensorType type, int layers) => RandomBlocks.Write(
        path,
        new LlamaConfig
        {
            VocabSize = 32000,
            HiddenSize = 2048,
            IntermediateSize = 5632,
            NumHiddenLayers = layers,
            NumAttentionHeads = 32,
            NumKeyValueHeads = 4,
            HeadDim = 64,
            InitializerRange = 0.02,
        },
        type);
}
