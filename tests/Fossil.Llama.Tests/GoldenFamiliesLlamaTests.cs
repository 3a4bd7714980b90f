using Fossil.Models;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Llama.Tests;

/// <summary>The tiny checkpoints of more families, written by us and computed by llama.cpp, against transformers.</summary>
public sealed class GoldenFamiliesLlamaTests
{
    public static TheoryData<string> Decoders() => GoldenFamilies.Decoders();

    [SkippableTheory, MemberData(nameof(Decoders))]
    public void Logits_in_llama_cpp_are_those_of_the_float64_truth(string name)
    {
        using var scope = NewDisposeScope();
        using var temporary = new TemporaryFolder();
        var folder = GoldenFamilies.Open(name, type => AutoModelForCausalLM.Families.Any(family => family.Model.Name == type));
        using var reference = GoldenFamilies.Reference(folder);
        using var model = AutoModelForCausalLM.FromPretrained(folder);
        try
        {
            model.SaveGguf(temporary["model.gguf"], GgufTensorType.F32, MadeVocabulary.Create());
        }
        catch (ExportException exception)
        {
            // What GGUF cannot say is refused by name; GoldenFamiliesDecoderTests knows which.
            Skip.If(true, exception.Message);
        }

        var (ids, truth) = (reference.Load("input_ids"), reference.Load("truth.logits").to(float32));
        // llama.cpp heeds no window here, so that only tokens that see all before them are the same.
        var seen = model.CommonConfig is { SlidingWindow: { } window, HasWindowInLlamaCpp: false } ? window : ids.shape[1];
        using var client = new LlamaCpp(temporary["model.gguf"]);
        for (var row = 0; row < truth.shape[0]; row++)
        {
            var logits = client.Logits([.. ids[row].data<long>().Take((int)seen).Select(id => (int)id)]);
            Logits.AssertNear([.. Enumerable.Range(0, logits.Length).Select(i => truth[row][i].data<float>().ToArray())], logits);
        }
    }
}
