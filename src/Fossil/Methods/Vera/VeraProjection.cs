using Fossil.Adapters;
using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Methods.Vera;

/// <summary>
/// The two frozen random matrices that all VeRA layers of a model share: A (r, largest in) and B (largest out, r), of which each layer takes the first columns and rows. They are buffers of the
/// model, so that they move with it. As in PEFT all adapters share the first one's; unlike there, an adapter that would compute something else with them is refused.
/// </summary>
internal sealed class VeraProjection : SharedTensors
{
    /// <summary>Their names in a file, and as buffers.</summary>
    public static readonly IReadOnlyList<string> Names = ["vera_A", "vera_B"];

    private static readonly AdapterTensorName FileA = new(AdapterTensorKind.Shared, string.Empty, Names[0]);
    private static readonly AdapterTensorName FileB = new(AdapterTensorKind.Shared, string.Empty, Names[1]);

    private readonly nn.Module model;
    private readonly VeraConfig config;
    private readonly string ownerName;
    private int users = 1;

    private VeraProjection(nn.Module model, VeraConfig config, string ownerName, Tensor a, Tensor b)
    {
        (this.model, this.config, this.ownerName) = (model, config, ownerName);
        AdapterParameterStore.SetBuffer(model, Names[0], a, a.device);
        AdapterParameterStore.SetBuffer(model, Names[1], b, b.device);
    }

    /// <summary>A (r, largest in).</summary>
    public Tensor A => Find(0);

    /// <summary>B (largest out, r).</summary>
    public Tensor B => Find(1);

    public override IEnumerable<(AdapterTensorName Name, Tensor Tensor)> ToWrite => config.SaveProjection ? [(FileA, A), (FileB, B)] : [];

    /// <summary>The matrices for an adapter: those of the model's other adapters where it has any, the file's, or new ones.</summary>
    public static VeraProjection For(AttachedAdapter adapter, IReadOnlyList<AttachedAdapter> others, nn.Module model, AdapterFile? file)
    {
        var (own, size) = ((VeraConfig)adapter.Config, Size.Of(adapter));
        if (file is not null) CheckComplete(own, file);
        if (others.Select(other => other.Shared).OfType<VeraProjection>().FirstOrDefault() is { } shared)
        {
            shared.CheckSharing(adapter.Name, own, size);
            if (file is not null) shared.Check(file);
            shared.users++;
            return shared;
        }

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (a, b) = file?.Contains(FileA) == true ? Load(file, own, size) : Draw(adapter, own, size);
        var device = adapter.Layers[0].Target.Base.Device;
        return new VeraProjection(model, own, adapter.Name, a.to(device), b.to(device));
    }

    /// <inheritdoc/>
    public override void Check(AdapterFile file)
    {
        CheckComplete(config, file);
        if (!file.Contains(FileA)) return;
        using var scope = NewDisposeScope();
        foreach (var (name, tensor) in new[] { (FileA, A), (FileB, B) })
        {
            if (!file.GetInfo(name).Shape.SequenceEqual(tensor.shape) || !file.Load(name, tensor.dtype, tensor.device).equal(tensor).all().item<bool>())
                throw new AdapterFileException(file.Path, $"its '{name}' is another one than that of '{ownerName}', which all VeRA adapters of the model share. Load this adapter first, or into a model without the others.");
        }
    }

    /// <summary>The matrices go with the last adapter that shares them.</summary>
    public override void Dispose()
    {
        if (--users > 0) return;
        foreach (var name in Names) AdapterParameterStore.RemoveBuffer(model, name);
    }

    /// <summary>As PEFT draws them (<c>_init_vera_A_vera_B</c>): Kaiming uniform, from a generator of their own, A first.</summary>
    private static (Tensor A, Tensor B) Draw(AttachedAdapter adapter, VeraConfig config, Size size)
    {
        using var generator = new Generator(unchecked((ulong)config.ProjectionPrngKey));
        var a = Uniform([config.Rank, size.In], size.In, generator);
        var b = Uniform([size.Out, config.Rank], config.Rank, generator);

        // Attaching moves them to each layer's dtype, and back to float32.
        foreach (var dtype in adapter.Layers.Select(layer => layer.Target.Base.Weight.Dtype).Distinct()) (a, b) = (a.to(dtype).to(ScalarType.Float32), b.to(dtype).to(ScalarType.Float32));
        return (a, b);
    }

    private static Tensor Uniform(long[] shape, long fanIn, Generator generator)
    {
        var bound = Math.Sqrt(3) * (Math.Sqrt(2) / Math.Sqrt(fanIn));
        return empty(shape, dtype: ScalarType.Float32).uniform_(-bound, bound, generator);
    }

    private static (Tensor A, Tensor B) Load(AdapterFile file, VeraConfig config, Size size)
    {
        var (a, b) = (file.GetInfo(FileA), file.GetInfo(FileB));
        if (a.Shape is not [var rankA, var columns] || rankA != config.Rank || columns < size.In || b.Shape is not [var rows, var rankB] || rankB != config.Rank || rows < size.Out || !a.Dtype.IsFloatingPoint() || !b.Dtype.IsFloatingPoint())
        {
            throw new AdapterFileException(
                file.Path, $"'{FileA}' ({string.Join(", ", a.Shape)}) and '{FileB}' ({string.Join(", ", b.Shape)}) do not fit the adapter's layers, which need at least ({config.Rank}, {size.In}) and ({size.Out}, {config.Rank}) in a floating-point dtype. Do the configuration and the tensors belong together?");
        }

        return (file.Load(FileA), file.Load(FileB));
    }

    private static void CheckComplete(VeraConfig config, AdapterFile file)
    {
        if (file.Contains(FileA) != file.Contains(FileB) || (config.SaveProjection && !file.Contains(FileA)))
            throw new AdapterFileException(file.Path, $"there is no tensor '{(file.Contains(FileA) ? FileB : FileA)}', which an adapter with save_projection needs. Take the whole file, or set save_projection to false to draw both matrices again from projection_prng_key.");
    }

    private void CheckSharing(string name, VeraConfig own, Size size)
    {
        var both = $"'{name}' would share the random matrices of '{ownerName}', as all VeRA adapters of a model do, but";
        if (own.ProjectionPrngKey != config.ProjectionPrngKey) throw new AdapterCombinationException($"{both} its projection_prng_key is {own.ProjectionPrngKey} and not {config.ProjectionPrngKey}. Give both one key.");
        if (own.SaveProjection != config.SaveProjection) throw new AdapterCombinationException($"{both} its save_projection is {(own.SaveProjection ? "true" : "false")}, the other's is not. Give both one value.");
        if (own.Rank != config.Rank) throw new AdapterCombinationException($"{both} its rank is {own.Rank} and not {config.Rank}. Give both one rank.");
        if (size.In > A.size(1) || size.Out > B.size(0))
            throw new AdapterCombinationException($"{both} its layers are up to {size.In} wide in and {size.Out} out, for which the matrices ({A.size(1)} and {B.size(0)}) are too small. Attach the adapter with the larger layers first.");
        if (!own.SaveProjection && size.In != A.size(1))
            throw new AdapterCombinationException($"{both} its own layers are up to {size.In} wide, the other's {A.size(1)}: without projections in its file (save_projection is false) it means other matrices when it is alone. Use save_projection, or let both adapt the widest layers.");
    }

    private Tensor Find(int index) => AdapterParameterStore.FindBuffer(model, Names[index])
        ?? throw new AdapterStateException($"The buffer '{Names[index]}' of {model.GetName()} is gone: it was disposed or removed from outside. Attach the adapters again.");

    private readonly record struct Size(long In, long Out)
    {
        public static Size Of(AttachedAdapter adapter) => new(adapter.Layers.Max(layer => layer.Target.InFeatures), adapter.Layers.Max(layer => layer.Target.OutFeatures));
    }
}
