using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Methods.Lora;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Adapters;

/// <summary>An adapter as LoRA with scale 1: B A is the change that it makes to each weight (PEFT: <c>tuners/lora/conversion.py</c>).</summary>
internal sealed class LoraConversion : IDisposable
{
    private static readonly AdapterParameterName[] Factors = [LoraLayer.FactorA, LoraLayer.FactorB];
    private static readonly AdapterParameterName[] EmbeddingFactors = [LoraEmbeddingLayer.EmbeddingA, LoraEmbeddingLayer.EmbeddingB];

    private readonly List<(AdapterTensorName Name, Tensor Tensor)> tensors = [];

    private LoraConversion(LoraConfig config) => Config = config;

    /// <summary>The configuration; layers whose rank differs from the commonest one stand in its patterns.</summary>
    public LoraConfig Config { get; private set; }

    /// <summary>A and B of each target.</summary>
    public IReadOnlyList<(AdapterTensorName Name, Tensor Tensor)> Tensors => tensors;

    /// <summary>Converts <paramref name="adapter"/>.</summary>
    public static LoraConversion Of(AttachedAdapter adapter, int? rank, double? energy)
    {
        var source = adapter.Config;
        if (source.Bias != AdapterBias.None)
            throw new AdapterCombinationException($"'{adapter.Name}' trains biases (bias is {source.Bias}), which a converted adapter cannot carry. Only adapters with bias none are converted, as in PEFT.");
        if (rank <= 0 || energy is <= 0 or > 1) throw new AdapterCombinationException($"A rank must be at least 1, and a share of the energy above 0 and at most 1; rank {rank}, energy {energy} were given.");

        var conversion = new LoraConversion(new LoraConfig());
        try
        {
            using var noGrad = no_grad();
            foreach (var layer in adapter.Layers) conversion.Add(layer, rank, energy);
        }
        catch
        {
            conversion.Dispose();
            throw;
        }

        var ranks = conversion.tensors.Where(entry => IsA(entry.Name)).ToDictionary(entry => entry.Name.Module, entry => (int)entry.Tensor.shape[0]);
        var commonest = ranks.Values.GroupBy(value => value).MaxBy(group => group.Count())!.Key;
        var others = ranks.Where(entry => entry.Value != commonest).ToArray();
        conversion.Config = new LoraConfig
        {
            Rank = commonest,
            Alpha = commonest,
            RankPattern = new OrderedDictionary<string, int>(others.Select(entry => KeyValuePair.Create(entry.Key, entry.Value))),
            AlphaPattern = new OrderedDictionary<string, double>(others.Select(entry => KeyValuePair.Create(entry.Key, (double)entry.Value))),

            // What shares its parameters is scaled apart, so that it shares them no longer: each target is named.
            TargetModules = source.TiesWeights ? ModuleSelector.Create([.. adapter.Layers.Select(layer => layer.Target.Path)]) : source.TargetModules,
            ExcludeModules = source.ExcludeModules,
            LayersToTransform = source.LayersToTransform,
            LayersPattern = source.LayersPattern,
            ModulesToSave = source.ModulesToSave,
            TaskType = source.TaskType,
            BaseModelNameOrPath = source.BaseModelNameOrPath,
        };
        return conversion;
    }

    /// <summary>Whether a tensor is an A, (r, in).</summary>
    public static bool IsA(AdapterTensorName name) => name.Name == LoraLayer.FactorA.FileSuffix || name.Name == LoraEmbeddingLayer.EmbeddingA.FileSuffix;

    /// <summary>A or B of a target.</summary>
    public Tensor Factor(AdaptedTarget target, string name) => tensors.Find(entry => entry.Name.Module == target.Path && entry.Name.Name == name).Tensor;

    /// <summary>Releases the factors.</summary>
    public void Dispose()
    {
        foreach (var (_, tensor) in tensors) tensor.Dispose();
        tensors.Clear();
    }

    private void Add(AdapterLayer layer, int? rank, double? energy)
    {
        using var scope = NewDisposeScope();
        using var values = layer.CopyValues(ShardOperations.Accumulator(layer.Target.Weight.dtype));
        var (a, b) = layer.LoraFactors(values) ?? Truncated(layer, values, rank, energy);
        var dtype = layer.Parameters().First().Parameter.dtype;
        foreach (var (name, factor) in (layer.Target.IsEmbedding ? EmbeddingFactors : Factors).Zip([a, b]))
            tensors.Add((new AdapterTensorName(AdapterTensorKind.Adapter, layer.Target.Path, name.FileSuffix), factor.to(dtype).contiguous().DetachFromDisposeScope()));
    }

    private static (Tensor A, Tensor B) Truncated(AdapterLayer layer, AdapterValues values, int? rank, double? energy)
    {
        if (rank is null == energy is null)
        {
            throw new AdapterCombinationException(
                $"The change that '{layer.AdapterName}' makes to '{layer.Target.Path}' has no exact form as LoRA: give either a rank or a share of the energy to keep.");
        }

        var weight = layer.Target.Weight.to(ShardOperations.Accumulator(layer.Target.Weight.dtype));
        var changed = weight.clone();
        layer.MergeInto(changed, values);
        var (u, s, v) = linalg.svd(changed.sub_(weight), fullMatrices: false);
        var kept = rank ?? RankFor(s, energy!.Value);
        if (kept > s.shape[0])
            throw new AdapterCombinationException($"The rank {kept} is larger than the {s.shape[0]} singular values that '{layer.Target.Path}' has. Choose a smaller one.");
        return (v.narrow(0, 0, kept), u.narrow(1, 0, kept) * s.narrow(0, 0, kept));
    }

    private static int RankFor(Tensor singularValues, double energy)
    {
        var sums = singularValues.to(ScalarType.Float64).pow(Scalars.Two).cumsum(0);
        var enough = sums.ge(sums[-1].mul(Scalars.Of(energy))).to(ScalarType.Int32);
        return (int)(sums.shape[0] - enough.sum().item<long>()) + 1;
    }
}
