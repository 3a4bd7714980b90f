using Fossil.Adapters;
using Fossil.Concurrency;
using Fossil.Serialization;
using Fossil.Weights;
using static TorchSharp.torch;

namespace Fossil;

/// <content>Adapter folders as Hugging Face PEFT writes and reads them.</content>
public sealed partial class AdaptedModel
{
    /// <summary>Writes <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, together and atomically, as PEFT's <c>save_pretrained</c>.</summary>
    /// <param name="folder">The folder, made where it is missing.</param>
    /// <param name="adapterName">Which adapter.</param>
    /// <param name="saveEmbeddingLayers">
    /// Whether the weights of <c>embed_tokens</c> and <c>lm_head</c> are written too (PEFT: <c>save_embedding_layers</c>). Null to decide as PEFT does: where <see cref="AdapterConfig.TargetModules"/>
    /// names one of them, and where the model's vocabulary was resized.
    /// </param>
    /// <exception cref="AdapterNameException">There is no such adapter.</exception>
    /// <exception cref="AdapterCombinationException">Attributes gave its targets different settings, which PEFT's configuration cannot say.</exception>
    /// <exception cref="AdapterBackwardException">The last backward pass failed.</exception>
    /// <exception cref="AtomicWriteException">The files could not be written; what was there before still is.</exception>
    public void SavePretrained(string folder, string adapterName = DefaultAdapterName, bool? saveEmbeddingLayers = null)
    {
        using var entry = Enter(toSave: true);
        var adapter = Find(adapterName);
        if (!adapter.HasOneConfig)
        {
            throw new AdapterCombinationException(
                $"The attributes give the targets of '{adapterName}' different settings, but adapter_config.json has one shard size and variant for all. Use one setting, or attach an adapter for each group of targets: AddAdapter(name, new {adapter.Config.GetType().Name} {{ TargetModules = …, ShardSize = … }}).");
        }

        if (!adapter.IsPeftWarned && adapter.Method.PeftWarning(adapterName, adapter.Config) is { } warning)
        {
            adapter.IsPeftWarned = true;
            FossilWarnings.Report(warning);
        }

        using var scope = NewDisposeScope();

        // As PEFT: what is saved is for use, until somebody loads it to train on, and names its base. A path of this machine would mean nothing to others.
        var baseId = Model is IPretrainedModel { NameOrPath: { } name } && !Path.Exists(name) ? name : null;
        var config = adapter.Config with { InferenceMode = true, BaseModelNameOrPath = adapter.Config.BaseModelNameOrPath ?? baseId };
        AdapterFile.SaveFolder(folder, config, tensors.ToWrite(adapter, saveEmbeddingLayers), adapter.Method.Files(adapter.Layers));
    }

    /// <summary>Adds an adapter from a folder that PEFT or <see cref="SavePretrained"/> wrote. It is inactive until <see cref="SetAdapter"/> names it.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="adapterName">The name it gets.</param>
    /// <param name="isTrainable">Whether it can be trained on; otherwise it is frozen.</param>
    /// <exception cref="AdapterFileException">The tensors do not fit the configuration and the model; a <see cref="VocabularySizeException"/> where they are for another number of tokens.</exception>
    /// <exception cref="SafetensorsException">The tensor file is damaged.</exception>
    /// <exception cref="ConfigurationException">The configuration has a value that cannot be used.</exception>
    /// <exception cref="NotAdaptableException">The configuration chooses a module that cannot be adapted.</exception>
    public void LoadAdapter(string folder, string adapterName = DefaultAdapterName, bool isTrainable = false)
    {
        using var entry = Enter();
        using var source = AdapterFolder.Open(folder);
        Create(adapterName, source.Config with { InferenceMode = !isTrainable }, source);
        ApplyState();
    }

    internal static AdaptedModel Load(nn.Module model, string folder, string adapterName, bool isTrainable)
    {
        using var entry = ModelGuard.Of(model).Enter();
        using var source = AdapterFolder.Open(folder);
        return Attach(model, source.Config with { InferenceMode = !isTrainable }, adapterName, source);
    }

    /// <summary>
    /// Writes the adapter's tensors, and its configuration where one says everything: with different settings on different targets the tensors alone,
    /// which <see cref="LoadValues"/> puts back into the same adapter.
    /// </summary>
    internal void SaveValues(string folder, string adapterName)
    {
        using var entry = Enter(toSave: true);
        var adapter = Find(adapterName);
        if (adapter.HasOneConfig)
        {
            SavePretrained(folder, adapterName);
            return;
        }

        using var scope = NewDisposeScope();
        AtomicFile.Write(Path.Combine(folder, AdapterFile.FileName), stream => AdapterFile.Write(stream, tensors.ToWrite(adapter)));
    }

    /// <summary>Reads the tensors that <see cref="SaveValues"/> wrote into the adapter's own parameters: all of them, or none.</summary>
    internal void LoadValues(string folder, string adapterName)
    {
        using var entry = Enter();
        var adapter = Find(adapterName);
        using var source = AdapterFolder.Open(folder, adapter.Config);
        tensors.Read(adapter, source);
    }
}
