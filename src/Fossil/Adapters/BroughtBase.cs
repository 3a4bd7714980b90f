using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>
/// A weight or bias of the base that an adapter's file brings although the configuration trains none there: PEFT writes embedding and output layer so, and loads into the base whatever a file has of it.
/// </summary>
/// <param name="Tensors">What it is in the file: more than one where modules share it and the file has the same values for them.</param>
/// <param name="Layer">The adapter's layer on it, where its module is adapted.</param>
/// <param name="IsTogether">Whether what shares its memory changes with it.</param>
internal sealed record BroughtBase(IReadOnlyList<BaseTensor> Tensors, AdapterLayer? Layer, bool IsTogether)
{
    /// <summary>Where it is in the model.</summary>
    public WeightPlace Place => Tensors[0].Place;

    /// <summary>The shape that it must have.</summary>
    public IReadOnlyList<long> Shape => Tensors[0].Kind == AdapterTensorKind.AdaptedWeight ? Layer!.Target.Base.Weight.Shape : Place.Find()!.shape;

    /// <summary>What a file has of the base.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="file">Its file.</param>
    /// <param name="names">The names in the file that are not the adapter's own.</param>
    /// <param name="fit">The model's names.</param>
    /// <param name="ties">What shares memory.</param>
    public static IReadOnlyList<BroughtBase> Find(AttachedAdapter adapter, AdapterFile file, IEnumerable<AdapterTensorName> names, AdapterFileFit fit, WeightTies ties)
    {
        var brought = new List<BroughtBase>();
        foreach (var name in names)
        {
            var layer = adapter.Layers.Find(layer => name.Module == layer.Target.Path || name.Module == layer.Target.RegisteredPath);
            if (name.Kind == AdapterTensorKind.AdaptedWeight && layer is not null) brought.Add(new([new BaseTensor(name.Kind, layer.Target.WeightPlace)], layer, IsTogether: false));
            else if (name.Kind == AdapterTensorKind.AdaptedBias && layer?.Target.BiasPlace is { } bias && bias.Find() is not null) brought.Add(new([new BaseTensor(name.Kind, bias)], layer, IsTogether: true));
            else if (name.Kind == AdapterTensorKind.Base && layer is null && fit.PlaceOf(name) is { } place) Add(new BaseTensor(name.Kind, place));
        }

        return brought;

        void Add(BaseTensor tensor)
        {
            var sharing = ties.Sharing(tensor.Place);
            var i = brought.FindIndex(other => other.Tensors[0].Kind == AdapterTensorKind.Base && sharing.Contains(other.Place));
            if (i < 0) brought.Add(new([tensor], null, IsTogether: true));
            else if (IsSame(file, brought[i].Tensors[0].FileName, tensor.FileName)) brought[i] = brought[i] with { Tensors = [.. brought[i].Tensors, tensor] };
            else
            {
                // Tied here, and not where the adapter was trained.
                brought[i] = brought[i] with { IsTogether = false };
                brought.Add(new([tensor], null, IsTogether: false));
            }
        }
    }

    /// <summary>Whether the values of a file are the model's own.</summary>
    public bool IsSameBase(Tensor values, Tensor weight)
    {
        // A model in another dtype than the file is the same one if it is so in the coarser of both.
        if (values.to(weight.dtype).equal(weight).all().item<bool>() || weight.to(values.dtype).equal(values).all().item<bool>()) return true;
        if (Layer?.ChangesBase != true) return false;

        // What was taken out and put back was rounded twice.
        var (exact, largest) = (weight.to(ScalarType.Float64), weight.abs().max().to(ScalarType.Float64).item<double>());
        var step = Math.Max(finfo(values.dtype).eps, finfo(weight.dtype).eps);
        return (values.to(ScalarType.Float64) - exact).abs().max().item<double>() <= 4 * step * largest;
    }

    private static bool IsSame(AdapterFile file, AdapterTensorName one, AdapterTensorName other)
    {
        using var scope = NewDisposeScope();
        return file.GetInfo(one).Shape.SequenceEqual(file.GetInfo(other).Shape) && file.Load(one).equal(file.Load(other)).all().item<bool>();
    }
}
