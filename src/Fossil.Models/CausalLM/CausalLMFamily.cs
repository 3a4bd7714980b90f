using Fossil.Models.Gguf;

namespace Fossil.Models;

/// <summary>How models of one family are recognised in files, and their configurations read.</summary>
/// <param name="Model">The decoder's class.</param>
/// <param name="ModelTypes">Hugging Face's names of its models (<c>model_type</c>).</param>
/// <param name="GgufArchitectures">llama.cpp's names of its models (<c>general.architecture</c>).</param>
/// <param name="ReadJson">Reads a <c>config.json</c>.</param>
/// <param name="ReadGguf">Reads a GGUF file's metadata.</param>
internal sealed record CausalLMFamily(Type Model, string[] ModelTypes, string[] GgufArchitectures, Func<ModelConfigReader, CausalLMConfig> ReadJson, Func<GgufConfigReader, CausalLMConfig> ReadGguf)
{
    /// <summary>Reads a <c>config.json</c> of one of several families.</summary>
    /// <exception cref="CheckpointException">It is of none of them, or asks for something that the decoder does not do.</exception>
    public static CausalLMConfig Read(ModelConfigReader json, IReadOnlyList<CausalLMFamily> families)
    {
        // As in transformers the type decides, and the class that wrote the file does not; but another kind of model lacks an output layer.
        var written = json.Architectures;
        if (families.FirstOrDefault(family => family.ModelTypes.Contains(json.ModelType)) is not { } found)
        {
            var by = written.Count == 0 ? "" : $" (written by {string.Join(", ", written)})";
            throw json.Error($"has model_type \"{json.ModelType}\"{by}; this decoder does {string.Join(", ", families.SelectMany(family => family.ModelTypes))}{Hint(family => family.ModelTypes.Contains(json.ModelType))}");
        }

        return written.Count == 0 || written.Any(name => name.Contains("ForCausalLM", StringComparison.Ordinal) || name.Contains("LMHead", StringComparison.Ordinal)) ? found.ReadJson(json)
            : throw json.Error($"has the architecture {string.Join(", ", written)}, which is no causal language model: its checkpoint has no output layer of one");
    }

    /// <summary>Reads a GGUF file of one of several families.</summary>
    /// <exception cref="GgufException">It is of none of them, is damaged, or asks for something that the decoder does not do.</exception>
    public static CausalLMConfig Read(GgufFile file, IReadOnlyList<CausalLMFamily> families)
    {
        var gguf = new GgufConfigReader(file);
        return families.FirstOrDefault(family => family.GgufArchitectures.Contains(gguf.Architecture)) is { } found
            ? found.ReadGguf(gguf)
            : throw gguf.Unsupported($"has the architecture '{gguf.Architecture}'. This decoder does {string.Join(", ", families.SelectMany(family => family.GgufArchitectures))} (Llama, SmolLM2 and Mistral are all 'llama'){Hint(family => family.GgufArchitectures.Contains(gguf.Architecture))}.");
    }

    private static string Hint(Func<CausalLMFamily, bool> isFamily) => AutoModelForCausalLM.Families.FirstOrDefault(isFamily) is { } other ? $"; {other.Model.Name} does it" : "";
}
