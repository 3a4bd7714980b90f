using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>The files in whose own memory the weights of a model lie.</summary>
internal static class SourceFiles
{
    /// <summary>Refuses to go on where one was written to.</summary>
    /// <exception cref="MappedFileException">One was.</exception>
    public static void Check(nn.Module model)
    {
        foreach (var file in model.modules().Prepend(model).OfType<EncodableModule>().Select(module => module.Form.SourceFile).OfType<MappedFileState>().Distinct()) file.Check();
    }
}
