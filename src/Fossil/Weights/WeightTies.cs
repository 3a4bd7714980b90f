using Fossil.CompilerServices;
using Fossil.Kernels;
using Fossil.Targets;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>
/// Which parameters and buffers of a model share memory: one Parameter in two modules, a view of another, or a <see cref="TiedLinear"/> and the module it is tied to. Whoever changes one of them in place
/// changes the others, so it is given memory of its own first.
/// </summary>
internal sealed class WeightTies
{
    private readonly Dictionary<WeightPlace, Memory> places = [];

    /// <summary>Looks at the model as it is now.</summary>
    /// <param name="modules">Its modules.</param>
    /// <param name="separations">What is separated at the moment, and counts as shared: it will be again.</param>
    public WeightTies(IReadOnlyList<NamedModule> modules, IEnumerable<Separation> separations)
    {
        var shared = separations.Where(separation => separation.Original is not null).GroupBy(separation => separation.Place).ToDictionary(group => group.Key, group => group.First().Original!);
        foreach (var owner in modules)
        {
            foreach (var name in ParameterNames(owner.Module).Concat(owner.Module.named_buffers(recurse: false).Select(entry => entry.name)))
            {
                var place = new WeightPlace(owner, name);
                var tensor = shared.GetValueOrDefault(place) ?? (owner.Module is TiedLinear { IsUntied: false } tied ? BaseWeight.Find(tied.Source) : place.Find());
                if (Memory.Of(tensor) is { } memory) places.Add(place, memory);
            }
        }
    }

    /// <summary>The names of a module's own parameters.</summary>
    public static IEnumerable<string> ParameterNames(nn.Module module) => module is TiedLinear ? [BaseWeight.Name] : module.named_parameters(recurse: false).Select(entry => entry.name);

    /// <summary>The other places that share memory with <paramref name="place"/>.</summary>
    public IReadOnlyList<WeightPlace> Sharing(WeightPlace place) =>
        places.TryGetValue(place, out var memory) ? [.. places.Where(other => other.Key != place && other.Value.Overlaps(memory)).Select(other => other.Key)] : [];

    /// <summary>The embedding that <paramref name="place"/> shares its whole weight with, and all that do, the embedding first; null where there is none.</summary>
    public IReadOnlyList<WeightPlace>? WithEmbedding(WeightPlace place)
    {
        if (!places.TryGetValue(place, out var memory)) return null;
        WeightPlace[] tied = [.. places.Where(other => other.Value == memory).Select(other => other.Key).OrderByDescending(other => BaseWeight.IsEmbedding(other.Module))];
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

        return new Separation(place, sharing, held, partner, partner is { } other && places[other] == places[place]);
    }

    /// <summary>The bytes from the first to the last element of a tensor.</summary>
    private readonly record struct Memory(long Start, long End, DevicePlace Device)
    {
        /// <summary>Those of <paramref name="tensor"/>; null where there is none, or it has no addresses.</summary>
        public static Memory? Of(Tensor? tensor)
        {
            if (tensor is not { IsInvalid: false, is_sparse: false } || tensor.numel() == 0) return null;
            var (shape, strides) = (tensor.shape, tensor.stride());
            var last = shape.Zip(strides, (size, stride) => (size - 1) * stride).Sum();
            long start = NativeTensor.Data(tensor);
            return start == 0 ? null : new Memory(start, start + ((last + 1) * tensor.ElementSize), DevicePlace.Of(tensor));
        }

        public bool Overlaps(Memory other) => Start < other.End && other.Start < End && Device == other.Device;
    }
}
