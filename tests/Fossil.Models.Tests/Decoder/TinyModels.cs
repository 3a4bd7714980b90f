using static TorchSharp.torch;

namespace Fossil.Models.Tests.Decoder;

/// <summary>Small decoders with random weights, for tests without data.</summary>
internal static class TinyModels
{
    public static LlamaConfig Config { get; } = new()
    {
        VocabSize = 96,
        HiddenSize = 64,
        IntermediateSize = 128,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 32,
        InitializerRange = 0.15,
    };

    public static LlamaForCausalLM Create(LlamaConfig? config = null, int seed = 1, ScalarType dtype = ScalarType.Float32)
    {
        // A generator of its own: other tests draw from the process's at the same time.
        using var generator = new Generator((ulong)seed, CPU);
        using var noGrad = no_grad();
        var model = new LlamaForCausalLM(config ?? Config, dtype);
        foreach (var matrix in model.parameters().Where(parameter => parameter.dim() > 1)) matrix.normal_(0, model.Config.InitializerRange, generator);
        model.eval();
        return model;
    }

    public static Tensor Tokens(int batch, int length, int seed = 2)
    {
        var random = new Random(seed);
        return tensor([.. Enumerable.Range(0, batch * length).Select(_ => (long)random.Next(3, 96))], [batch, length]);
    }
}
