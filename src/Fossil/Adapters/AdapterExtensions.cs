using static TorchSharp.torch;

namespace Fossil;

/// <summary>How a model gets adapters.</summary>
public static class AdapterExtensions
{
    /// <summary>
    /// Freezes the model and adds a FOSSIL adapter named "default" to every projection that its classes' attributes name, with the attributes' settings.
    /// It changes no output until it is trained.
    /// </summary>
    /// <param name="model">A model of which some class is marked with <see cref="FossilAdaptAttribute"/>.</param>
    /// <returns>What trains, saves, merges and removes the adapters; dispose it to remove them.</returns>
    /// <exception cref="NotAdaptableException">Nothing that is annotated can be adapted, the generator did not run, a target is not registered, or the configuration chooses what cannot be adapted.</exception>
    /// <exception cref="ShardSizeException">A shard size does not fit its layer.</exception>
    /// <exception cref="ConfigurationException">A setting of an attribute or of the configuration cannot be used, or nothing is chosen.</exception>
    /// <exception cref="AdapterStateException">The model has adapters already.</exception>
    public static AdaptedModel AttachAdapters(this nn.Module model) => AdaptedModel.Attach(model, null, AdaptedModel.DefaultAdapterName);

    /// <summary>Freezes the model and adds an adapter of any method (PEFT: <c>get_peft_model</c>).</summary>
    /// <param name="model">A model of which some class is marked with <see cref="FossilAdaptAttribute"/>.</param>
    /// <param name="config">The method and its settings. Without <see cref="AdapterConfig.TargetModules"/> the attributes choose the targets; the other settings are the configuration's.</param>
    /// <param name="adapterName">The adapter's name.</param>
    /// <inheritdoc cref="AttachAdapters(nn.Module)"/>
    public static AdaptedModel AttachAdapters(this nn.Module model, AdapterConfig config, string adapterName = AdaptedModel.DefaultAdapterName) =>
        AdaptedModel.Attach(model, config, adapterName);

    /// <summary>Freezes the model and attaches an adapter from a folder that PEFT or <see cref="AdaptedModel.SavePretrained"/> wrote (PEFT: <c>PeftModel.from_pretrained</c>).</summary>
    /// <param name="model">A model of which some class is marked with <see cref="FossilAdaptAttribute"/>.</param>
    /// <param name="folder">The folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</param>
    /// <param name="adapterName">The name the adapter gets.</param>
    /// <param name="isTrainable">Whether it can be trained on; otherwise it is frozen.</param>
    /// <exception cref="AdapterFileException">The tensors do not fit the configuration and the model.</exception>
    /// <exception cref="NotAdaptableException">The configuration chooses a module that cannot be adapted.</exception>
    public static AdaptedModel LoadPretrained(this nn.Module model, string folder, string adapterName = AdaptedModel.DefaultAdapterName, bool isTrainable = false) =>
        AdaptedModel.Load(model, folder, adapterName, isTrainable);
}
