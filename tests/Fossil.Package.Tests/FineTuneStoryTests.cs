using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Fossil.Models.Tests.Hub;

namespace Fossil.Package.Tests;

/// <summary>The README's second story, from the packed packages: its program in a new project, on the repository's small model, and on SmolLM2 where that is at hand.</summary>
public partial class FineTuneStoryTests(LocalFeed feed) : IClassFixture<LocalFeed>
{
    private static readonly string Samples = Path.Combine(LocalFeed.RepositoryRoot, "samples");

    [SkippableFact]
    public async Task AModelIsFineTunedComparedMergedExportedAndTalkedTo()
    {
        var project = feed.CreateProjectOf(Path.Combine(Samples, "FineTune", "Program.cs"), "FineTune", "Fossil.Gen", "Fossil.Gen.Models");
        var (code, output) = await LocalFeed.Build(project);
        Assert.True(code == 0, output);
        Assert.DoesNotContain("warning", output);

        await Tell(project, [], SmallModel(project), steps: 4);
        var models = Environment.GetEnvironmentVariable("FOSSIL_MODELS") is { Length: > 0 } named ? named : Path.Combine(LocalFeed.RepositoryRoot, "..", "shared", "models");
        var real = Path.Combine(models, "SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");
        Skip.IfNot(File.Exists(real), "SmolLM2 is not at hand (FOSSIL_MODELS); the small model has been fine-tuned.");
        // As the README has it: a file of the hub by its name.
        using var hub = new FakeHub();
        hub.Files["real.gguf"] = await File.ReadAllBytesAsync(real);
        await Tell(project, new() { ["HF_ENDPOINT"] = hub.Address.ToString(), ["HF_HOME"] = Path.Combine(project, "hub") }, $"{FakeHub.Model}:real.gguf", steps: 2);
        Assert.True(hub.CountOf("cdn GET") > 0);
    }

    private static async Task Tell(string project, Dictionary<string, string> environment, string model, int steps)
    {
        var text = Path.Combine(project, "text.txt");
        File.WriteAllText(text, File.ReadAllText(Path.Combine(Samples, "data", "paradise_lost.txt"))[..20_000]);
        // Without input, the chat ends at its first line.
        var (code, output) = await Dotnet.Run(project, environment, "run", "--no-build", "--", model, text, $"{steps}");
        Assert.True(code == 0, output);
        Assert.Contains("trainable params", output);
        Assert.Contains($"step {steps}/{steps}", output);
        var perplexities = Perplexity().Matches(output).Select(match => double.Parse(match.Groups["value"].Value, System.Globalization.CultureInfo.InvariantCulture)).ToList();
        Assert.Equal(2, perplexities.Count);
        Assert.True(perplexities[1] < perplexities[0], output);
        foreach (var file in new[] { "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter.gguf", "model/config.json", "model/model.safetensors", "model/tokenizer.json" })
        {
            Assert.True(File.Exists(Path.Combine(project, "fine-tuned", file)), $"{file}: {output}");
        }

        Directory.Delete(Path.Combine(project, "fine-tuned"), recursive: true);
    }

    /// <summary>The repository's model of Shakespeare, whose tokens are bytes, with that said in Hugging Face's form.</summary>
    private static string SmallModel(string project)
    {
        var folder = Directory.CreateDirectory(Path.Combine(project, "small")).FullName;
        foreach (var file in new[] { "config.json", "model.safetensors" }) File.Copy(Path.Combine(Samples, "models", "shakespeare", file), Path.Combine(folder, file));
        // GPT-2's alphabet: printable bytes are themselves, the others come from U+0100 on.
        var vocabulary = new JsonObject();
        var next = 256;
        for (var value = 0; value < 256; value++)
        {
            var isItself = value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            vocabulary[((char)(isItself ? value : next++)).ToString()] = value;
        }

        var tokenizer = new JsonObject
        {
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["use_regex"] = true },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"chat_template":"{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"}""");
        return folder;
    }

    [GeneratedRegex(@"^(before|after): perplexity (?<value>\d+\.\d)", RegexOptions.Multiline)]
    private static partial Regex Perplexity();
}
