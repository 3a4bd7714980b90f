using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <summary>Parameters and linear layers that are allocated, not filled: a checkpoint or the initialisation writes them.</summary>
internal static class Projection
{
    public static LinearLayer Create(int inputs, int outputs, bool bias, ScalarType dtype, Device? device) =>
        new(Allocate([outputs, inputs], dtype, device), bias ? Allocate([outputs], dtype, device) : null);

    /// <summary>The output layer: the embedding's matrix, or one of its own.</summary>
    public static Module<Tensor, Tensor> CreateOutput(CausalLMConfig config, TokenEmbedding embedding, ScalarType dtype, Device? device) =>
        config.TieWordEmbeddings ? new TiedLinear(embedding) : Create(config.HiddenSize, config.VocabSize, false, dtype, device);

    /// <summary>A parameter that outlives the dispose scope in which the model is made.</summary>
    public static Parameter Allocate(long[] shape, ScalarType dtype, Device? device)
    {
        var parameter = new Parameter(empty(shape, dtype: dtype, device: device));
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
