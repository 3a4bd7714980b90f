using Fossil.Models;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;

namespace Fossil.Llama.Tests;

/// <summary>The real model: the published file and files of ours in llama.cpp.</summary>
public sealed class SmolLM2LlamaTests : IDisposable
{
    private const string Text = """
        Of Man's first disobedience, and the fruit
        Of that forbidden tree whose mortal taste
        Brought death into the World, and all our woe,
        With loss of Eden, till one greater Man
        Restore us, and regain the blissful seat,
        Sing, Heavenly Muse, that, on the secret top
        Of Oreb, or of Sinai, didst inspire
        That shepherd who first taught the chosen seed
        """;

    private readonly TemporaryFolder folder = new();

    private static string Folder => Path.Combine(DataFolders.RequireModels(), "SmolLM2-135M-Instruct");

    private static string Published => Path.Combine(Folder, "SmolLM2-135M-Instruct.Q4_1.gguf");

    [SkippableFact]
    public void The_published_file_an_exported_one_and_an_adapter_have_llama_cpps_perplexity_and_text()
    {
        using var model = LlamaForCausalLM.FromGguf(Published);
        var tokenizer = PretrainedTokenizer.FromGguf(Published);
        var ids = tokenizer.Encode(Text);
        var prompt = tokenizer.Encode("The capital of France is");
        using var adapted = model.LoadPretrained(Path.Combine(Folder, "reference", "miss-r16"));
        var trained = Logits.Of(model, ids);
        float[][] plain;
        IReadOnlyList<int> text;
        using (adapted.DisableAdapters()) (plain, text) = (Logits.Of(model, ids), model.Generate(prompt, new GenerationOptions { MaxNewTokens = 12 }));

        // llama.cpp rounds x to 8 bits before the product with a quantised matrix, and to half precision before that with an F16 one.
        const double ofQuantised = 0.03, ofHalf = 1e-3;
        using (var client = new LlamaCpp(Published))
        {
            Assert.Equal(ids, client.Vocabulary.Tokens(Text));
            Assert.Equal(text, client.Greedy(prompt, text.Count));
            AssertNear(plain, client.Logits(ids), ofQuantised);
            adapted.SaveGgufLora(folder["lora.gguf"]);
            client.Adapt(folder["lora.gguf"]);
            AssertNear(trained, client.Logits(ids), ofQuantised);
        }

        foreach (var (type, tolerance) in new[] { (GgufTensorType.Q8_0, ofQuantised), (GgufTensorType.F16, ofHalf) })
        {
            adapted.SaveMergedGguf(folder["merged.gguf"], type, tokenizer);
            using var client = new LlamaCpp(folder["merged.gguf"]);
            Assert.Equal(ids, client.Vocabulary.Tokens(Text));
            AssertNear(trained, client.Logits(ids), tolerance);
        }

        void AssertNear(float[][] ours, float[][] theirs, double tolerance)
        {
            var (expected, actual) = (Perplexity.Of(ours, ids), Perplexity.Of(theirs, ids));
            Assert.True(Math.Abs((actual / expected) - 1) <= tolerance, $"the perplexity is {actual} in llama.cpp and {expected} here");
        }
    }

    [SkippableFact]
    public void An_adapter_that_was_trained_over_the_published_blocks_changes_perplexity_in_llama_cpp_as_here()
    {
        const int length = 128, heldOut = 8, steps = 12;
        var text = File.ReadAllText(Path.Combine(DataFolders.RequireModels(), "..", "data", "paradise_lost.txt"))[..20_000];
        var windows = PretrainedTokenizer.FromGguf(Published).Encode(text).Chunk(length).Where(ids => ids.Length == length).ToArray();
        var distance = double.NaN;
        var served = ServedAdapter.Measure(Published, windows, heldOut, steps, folder.Path, (ours, theirs) => distance = Logits.Distance(ours, theirs));

        Assert.True(served.Adapted < 0.9 * served.Base, $"the adapter changes too little to be tested by it: {served}");
        Assert.True(served.DifferenceOfChange < 0.02, $"{served}");
        // llama.cpp rounds x to 8 bits before each product.
        Assert.InRange(distance, 0, 0.05);
    }

    public void Dispose() => folder.Dispose();
}
