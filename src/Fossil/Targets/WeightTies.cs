using Fossil.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Targets;

/// <summary>
/// Which parameters and buffers of a model share memory: one Parameter in two modules, a view of another, or a <see cref="TiedLinear"/> and the module it is tied to. Whoever changes one of them in place
/// changes the others, so it is given memory of its own first.
/// </summary>
internal sealed class WeightTies
{
    private readonly List<(WeightPlace Place, Memory Memory)> places = [];

    /// <summary>Looks at the model as it is now.</summary>
    public WeightTies(IReadOnlyList<NamedModule> modules)
    {
        foreach (var owner in modules)
        {
            foreach (var name in ParameterNames(owner.Module).Concat(owner.Module.named_buffers(recurse: false).Select(entry => entry.name))) Note(new WeightPlace(owner, name));
        }
    }

    /// <summary>The names of a module's own parameters.</summary>
    public static IEnumerable<string> ParameterNames(nn.Module module) => module is TiedLinear ? [BaseWeight.Name] : module.named_parameters(recurse: false).Select(entry => entry.name);

    /// <summary>The other places that share memory with <paramref name="place"/>.</summary>
    public IReadOnlyList<WeightPlace> Sharing(WeightPlace place) =>
        Memory.Of(place) is { } memory ? [.. places.Where(other => other.Place != place && other.Memory.Overlaps(memory)).Select(other => other.Place)] : [];

    /// <summary>The embedding that <paramref name="place"/> shares its whole weight with, and all that do, the embedding first; null where there is none.</summary>
    public IReadOnlyList<WeightPlace>? WithEmbedding(WeightPlace place)
    {
        if (Memory.Of(place) is not { } memory) return null;
        WeightPlace[] tied = [.. places.Where(other => other.Memory == memory).Select(other => other.Place).OrderByDescending(other => BaseWeight.IsEmbedding(other.Module))];
        return tied.Length > 1 && BaseWeight.IsEmbedding(tied[0].Module) ? tied : null;
    }

    /// <summary>Refuses a place that shares memory and cannot be given its own.</summary>
    /// <exception cref="NotAdaptableException">It cannot.</exception>
    public void CheckSeparable(WeightPlace place)
    {
        if (place.Module is TiedLinear || place.CanPut) return;
        if (Sharing(place).FirstOrDefault(other => other.Module is not TiedLinear) is { Module: not null } other)
        {
            throw new NotAdaptableException(
                $"'{place.FullName}' shares its memory with '{other.FullName}': to change one would change the other, and a {place.Module.GetType().Name} cannot be given another parameter from outside. Untie them, or tie by {nameof(TiedLinear)}.");
        }
    }

    /// <summary>Gives <paramref name="place"/> memory of its own, with the values that it has; null where it has that already. <see cref="Separation.End"/> puts the tie back.</summary>
    public Separation? Separate(WeightPlace place)
    {
        CheckSeparable(place);
        var sharing = Sharing(place);
        TiedLinear[] held = place.Module is TiedLinear tied ? [tied] : [.. sharing.Select(other => other.Module).OfType<TiedLinear>().Where(other => other.Source == place.Module)];
        WeightPlace? partner = place.Module is TiedLinear ? null : sharing.Where(other => other.Module is not TiedLinear).Select(other => (WeightPlace?)other).FirstOrDefault();
        if (held.Length == 0 && partner is null) return null;

        var separation = new Separation(place, sharing, held, partner, partner is { } same && Memory.Of(same) == Memory.Of(place));
        places.RemoveAll(entry => entry.Place == place || held.Contains(entry.Place.Module));
        Note(place);
        foreach (var layer in sharing.Where(other => held.Contains(other.Module))) Note(layer);
        return separation;
    }

    private void Note(WeightPlace place)
    {
        if (Memory.Of(place) is { } memory) places.Add((place, memory));
    }

    /// <summary>The bytes from the first to the last element of a tensor.</summary>
    private readonly record struct Memory(long Start, long End, DeviceType Device, int DeviceIndex)
    {
        /// <summary>Those of what is at <paramref name="place"/>; null where nothing is, or it has no addresses.</summary>
        public static Memory? Of(WeightPlace place)
        {
            if (place.Find() is not { is_sparse: false } tensor || tensor.numel() == 0) return null;
            var (shape, strides) = (tensor.shape, tensor.stride());
            var last = shape.Zip(strides, (size, stride) => (size - 1) * stride).Sum();
            long start = NativeTensor.Data(tensor);
            return start == 0 ? null : new Memory(start, start + ((last + 1) * tensor.ElementSize), tensor.device_type, tensor.device_index);
        }

        public bool Overlaps(Memory other) => Start < other.End && other.Start < End && (Device, DeviceIndex) == (other.Device, other.DeviceIndex);
    }
}
