using System.Reflection;
using Fossil.Adapters;

namespace Fossil.Models.Hub;

/// <summary>What the cards of models and adapters say (PEFT: <c>create_or_update_model_card</c>).</summary>
internal static class ModelCards
{
    private const string VersionsHeading = "### Framework versions";

    /// <summary>Brings the card of an adapter up to date.</summary>
    /// <param name="existing">The card that is there; empty where there is none.</param>
    /// <param name="id">The repository.</param>
    /// <param name="config">The adapter's configuration.</param>
    /// <param name="model">What it adapts.</param>
    public static string OfAdapter(string existing, string id, AdapterConfig config, TorchSharp.torch.nn.Module model)
    {
        var card = ModelCard.Parse(existing);
        var baseModel = OnHub(config.BaseModelNameOrPath);
        var decoder = model as CausalLM;
        if (baseModel is not null) card.Set("base_model", baseModel);
        card.Set("library_name", "peft");
        if (decoder is not null && !card.Has("pipeline_tag")) card.Set("pipeline_tag", "text-generation");
        List<string> tags = [.. AdapterMethods.For(config).CardTags];
        if (baseModel is not null) tags.Add($"base_model:adapter:{baseModel}");
        if (decoder is not null) tags.Add("transformers");
        card.AddTo("tags", tags);
        if (string.IsNullOrWhiteSpace(card.Body)) card.Body = AdapterText(id, config, baseModel, decoder);
        card.Body = WithVersion(card.Body);
        return card.ToString();
    }

    /// <summary>Brings the card of a model up to date.</summary>
    /// <param name="existing">The card that is there; empty where there is none.</param>
    /// <param name="id">The repository.</param>
    /// <param name="model">The model.</param>
    public static string OfModel(string existing, string id, CausalLM model)
    {
        var card = ModelCard.Parse(existing);
        if (OnHub(model.NameOrPath) is { } baseModel && baseModel != id && !card.Has("base_model")) card.Set("base_model", baseModel);
        card.Set("library_name", "transformers");
        if (!card.Has("pipeline_tag")) card.Set("pipeline_tag", "text-generation");
        if (string.IsNullOrWhiteSpace(card.Body))
        {
            card.Body = $"""
                # {NameOf(id)}

                With Fossil.Gen.Models (C#):

                ```csharp
                using var model = await {model.GetType().Name}.FromHubAsync("{id}");
                ```

                With transformers (Python):

                ```python
                from transformers import AutoModelForCausalLM

                model = AutoModelForCausalLM.from_pretrained("{id}")
                ```
                """;
        }

        card.Body = WithVersion(card.Body);
        return card.ToString();
    }

    private static string AdapterText(string id, AdapterConfig config, string? baseModel, CausalLM? decoder)
    {
        var title = $"# {NameOf(id)}\n\nAn adapter ({config.PeftType}){(baseModel is null ? string.Empty : $" of [{baseModel}](https://huggingface.co/{baseModel})")}.";
        if (decoder is null || baseModel is null) return title;
        return $"""
            {title}

            With Fossil.Gen.Models (C#):

            ```csharp
            using var model = await {decoder.GetType().Name}.FromHubAsync("{baseModel}");
            using var adapted = await model.LoadPretrainedFromHubAsync("{id}");
            ```

            With PEFT (Python):

            ```python
            from peft import PeftModel
            from transformers import AutoModelForCausalLM

            model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{baseModel}"), "{id}")
            ```
            """;
    }

    private static string WithVersion(string body)
    {
        var line = $"- Fossil.Gen {typeof(ModelCards).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]}";
        var lines = body.TrimEnd().ReplaceLineEndings("\n").Split('\n').ToList();
        if (lines.Contains(line)) return body;
        var heading = lines.IndexOf(VersionsHeading);
        if (heading < 0) lines.AddRange([string.Empty, VersionsHeading, string.Empty, line]);
        else lines.Insert(Math.Min(heading + 2, lines.Count), line);
        return string.Join('\n', lines);
    }

    /// <summary>An id of the hub; null where it is a folder or a file, which means nothing to others.</summary>
    private static string? OnHub(string? nameOrPath) => nameOrPath is not null && HubCache.IsModelId(nameOrPath) && !Path.Exists(nameOrPath) ? nameOrPath : null;

    private static string NameOf(string id) => id[(id.IndexOf('/', StringComparison.Ordinal) + 1)..];
}
