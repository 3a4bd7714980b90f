using static TorchSharp.torch;

namespace Fossil.Models;

/// <summary>
/// The tensors of a checkpoint by name, whatever kind of file they lie in: one file or many, mapped, and dequantised where they are quantised. <see cref="CheckpointReader"/> fills a module from one.
/// </summary>
/// <remarks>
/// Implementations: <see cref="HuggingFaceFolder"/> (safetensors, one file or several with an index), <see cref="Gguf.GgufTensors"/> (a GGUF file, by Hugging Face's names). One of quantised tensors lists
/// each under the name and the shape of the tensor that it stands for, without the scales and codes that belong to it, and dequantises it in <see cref="LoadInto"/>.
/// </remarks>
internal interface ITensorSource
{
    /// <summary>The folder or file, for messages.</summary>
    string Path { get; }

    /// <summary>The tensors' names, Hugging Face's. Every parameter of the model is there once, under its name; what else is there is surplus.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>What the file itself calls a tensor, or would call it, for messages.</summary>
    string FileName(string name) => name;

    /// <summary>The shape of a tensor, as the model has it: (out, in) for a linear layer.</summary>
    IReadOnlyList<long> ShapeOf(string name);

    /// <summary>Reads a tensor into one of its shape, of any dtype and device: converted, dequantised, its rows in Hugging Face's order, with no second copy of it in memory.</summary>
    void LoadInto(string name, Tensor destination);

    /// <summary>A matrix in the form in which it is stored, for a model that keeps it so; null where it is to be read as numbers by <see cref="LoadInto"/>.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="dtype">The dtype that is computed in.</param>
    /// <param name="device">Where it shall be.</param>
    LinearWeight? FindEncoded(string name, ScalarType dtype, Device device) => null;
}
