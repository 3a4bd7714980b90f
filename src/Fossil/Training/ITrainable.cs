using Fossil.Concurrency;
using Fossil.Serialization;
using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>What a <see cref="Trainer{TBatch}"/> trains: a module, the parameters that change, and how these are written and read.</summary>
public interface ITrainable
{
    /// <summary>The module, for its training mode.</summary>
    nn.Module Module { get; }

    /// <summary>The model whose adapters are trained; null where they are not what is trained.</summary>
    AdaptedModel? Adapted => null;

    /// <summary>The parameters that change, as they are now, with names that stay the same from run to run.</summary>
    IReadOnlyList<(string Name, Parameter Parameter)> TrainableParameters();

    /// <summary>Writes the values of the parameters into a folder.</summary>
    void Save(string folder);

    /// <summary>Reads what <see cref="Save"/> wrote into the same parameters, bit for bit. Where it throws, none of them has changed.</summary>
    void Load(string folder);
}

/// <summary>The parameters of a module that require a gradient, kept in <c>model.safetensors</c> under the module's own names.</summary>
/// <param name="module">The module.</param>
public sealed class TrainableModule(nn.Module module) : ITrainable
{
    private const string FileName = "model.safetensors";

    /// <inheritdoc/>
    public nn.Module Module { get; } = module;

    /// <inheritdoc/>
    public IReadOnlyList<(string Name, Parameter Parameter)> TrainableParameters() =>
        [.. Module.named_parameters().Where(named => named.parameter.requires_grad)];

    /// <inheritdoc/>
    public void Save(string folder)
    {
        using var entry = ModelGuard.Of(Module).EnterToSave();
        SourceFiles.Check(Module);
        SafetensorsWriter.Save(Path.Combine(folder, FileName), TrainableParameters().Select(named => (named.Name, (Tensor)named.Parameter)), [new("format", "pt")]);
    }

    /// <inheritdoc/>
    public void Load(string folder)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, FileName));
        using var withoutGradient = no_grad();
        using var scope = NewDisposeScope();
        var values = new List<(Parameter Parameter, Tensor Value)>();
        foreach (var (name, parameter) in TrainableParameters())
        {
            var value = file.Load(name);
            if (!value.shape.SequenceEqual(parameter.shape))
            {
                throw new CheckpointReadException($"{file.Path}: '{name}' has shape ({string.Join(", ", value.shape)}), the module has ({string.Join(", ", parameter.shape)}).");
            }

            values.Add((parameter, value));
        }

        foreach (var (parameter, value) in values) parameter.copy_(value);
    }
}

/// <summary>An adapter of a model: a checkpoint of it is an adapter folder, as Hugging Face PEFT reads it.</summary>
/// <param name="adapted">The model with its adapters, of which this one is active.</param>
/// <param name="adapterName">The adapter that is trained.</param>
public sealed class TrainableAdapter(AdaptedModel adapted, string adapterName = AdaptedModel.DefaultAdapterName) : ITrainable
{
    /// <inheritdoc/>
    public nn.Module Module => adapted.Model;

    /// <inheritdoc/>
    public AdaptedModel Adapted => adapted;

    /// <inheritdoc/>
    public IReadOnlyList<(string Name, Parameter Parameter)> TrainableParameters() => adapted.TrainableParameters();

    /// <inheritdoc/>
    public void Save(string folder) => adapted.SaveValues(folder, adapterName);

    /// <inheritdoc/>
    public void Load(string folder) => adapted.LoadValues(folder, adapterName);
}

/// <summary>A module that can recompute activations in its backward pass instead of keeping them.</summary>
public interface ISupportsGradientCheckpointing
{
    /// <summary>Whether it does.</summary>
    bool GradientCheckpointing { get; set; }
}
