using Fossil.Adapters;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Methods.Lora;

/// <summary>
/// <c>pissa_init.safetensors</c> in an adapter's folder: A₀ and B₀, which a PiSSA adapter started from, under the names of A and B. With it the adapter is the same one
/// wherever it is loaded, and nothing is decomposed. PEFT, which writes no such file and reads none, decomposes the weight each time.
/// </summary>
internal sealed class PissaStart : AdapterStart
{
    /// <summary>The name of the file in an adapter's folder.</summary>
    public const string FileName = "pissa_init.safetensors";

    private readonly AdapterFile file;

    private PissaStart(AdapterFile file) => this.file = file;

    /// <summary>Opens the file of a folder; null where the adapter is no PiSSA adapter, and where PEFT or an earlier version wrote the folder.</summary>
    /// <exception cref="SafetensorsException">The file is damaged.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static PissaStart? Open(string folder, LoraConfig config)
    {
        if (config.InitLoraWeights is not { IsPissa: true } initialization) return null;
        var path = Path.Combine(folder, FileName);
        if (File.Exists(path)) return new PissaStart(AdapterFile.Open(path));
        if (initialization.Iterations is not null)
        {
            FossilWarnings.Report(
                $"'{folder}' has no {FileName}, so what its adapter started from, a randomised decomposition of the weights ({initialization.Name}), is lost: another one takes its place, and the model computes something else than where the adapter was trained. Save it there again, with this version or as plain LoRA (SavePissaAsLora; in PEFT save_pretrained with path_initial_model_for_weight_conversion).");
        }

        return null;
    }

    /// <summary>The file that goes with <paramref name="layers"/>, where they are of a PiSSA adapter.</summary>
    public static IEnumerable<(string Name, Action<Stream> Write)> Files(IReadOnlyList<AdapterLayer> layers)
    {
        (AdapterTensorName, Tensor)[] tensors = [.. layers.SelectMany(layer => layer.BufferNames.Select(name => (layer.FileName(name), layer.Buffer(name))))];
        return tensors.Length == 0 ? [] : [(FileName, stream => AdapterFile.Write(stream, tensors))];
    }

    /// <summary>Sets A₀ and B₀ of <paramref name="layers"/>, after all of them are read and checked.</summary>
    /// <exception cref="AdapterFileException">The tensors do not fit the layers.</exception>
    public override void Set(IReadOnlyList<AdapterLayer> layers)
    {
        using var scope = NewDisposeScope();
        var values = layers.OfType<LoraLayer>().Where(layer => layer.IsPissa).Select(layer => (Layer: layer, A: Read(layer, LoraLayer.InitialFactorA, [layer.Rank, layer.Target.InFeatures]), B: Read(layer, LoraLayer.InitialFactorB, [layer.Target.OutFeatures, layer.Rank]))).ToArray();
        foreach (var (layer, a, b) in values) layer.SetInitial(a, b);
    }

    /// <summary>Closes the file.</summary>
    public override void Dispose() => file.Dispose();

    private Tensor Read(AdapterLayer layer, AdapterParameterName parameter, long[] shape)
    {
        var name = file.NameOf(layer.FileName(parameter), layer.RegisteredFileName(parameter));
        if (!file.Contains(name) || !file.GetInfo(name).Shape.SequenceEqual(shape) || !file.GetInfo(name).Dtype.IsFloatingPoint())
        {
            throw new AdapterFileException(file.Path, $"there is no floating-point tensor '{name}' of shape ({string.Join(", ", shape)}), which the PiSSA adapter of this model and configuration started from. Take the file that was saved with the adapter; without any, the weights are decomposed again.");
        }

        return file.Load(name);
    }
}
