using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil;

/// <summary>A module that looks rows up by index, as TorchSharp's <c>Embedding</c>: LoRA adapts one that implements this as an embedding (PEFT: <c>lora_embedding_A</c>, <c>lora_embedding_B</c>).</summary>
public interface IEmbedding
{
    /// <summary>The rows (entries, width), registered as <c>weight</c>.</summary>
    /// <exception cref="NotAdaptableException">The module holds them in another form.</exception>
    Tensor Weight { get; }

    /// <summary>The rows in whatever form the module holds them.</summary>
    LinearWeight Rows => new FloatWeight(Weight);
}
