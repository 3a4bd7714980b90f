using System.Text;
using Fossil.Models.Chat;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.TestData;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Documentation;

/// <summary>The code of docs/models.md; the document has the regions word for word (a test of tests/Fossil.Package.Tests).</summary>
public sealed class ModelsGuideSmolLM2Tests
{
    [SkippableFact]
    public void The_guide_does_what_it_says()
    {
        var path = SmolLM2.Model;
        using var folder = new TemporaryFolder();

        #region load
        using var model = LlamaForCausalLM.FromGguf(path, bfloat16);   // or FromPretrained(folder, bfloat16)
        var tokenizer = PretrainedTokenizer.FromGguf(path);            // or FromPretrained(folder)
        #endregion

        #region generate
        var prompt = tokenizer.Encode("The capital of France is");
        var options = new GenerationOptions { MaxNewTokens = 8, Temperature = 0.7, TopP = 0.9, Seed = 1 };
        var answer = tokenizer.Decode(model.Generate(prompt, options), skipSpecialTokens: true);
        #endregion
        Assert.NotEmpty(answer);
        options = options with { Temperature = 0 };
        Assert.StartsWith(" Paris.", tokenizer.Decode(model.Generate(prompt, options)));

        #region chat
        var chat = ChatTemplate.Of(tokenizer);
        var question = chat.Encode(tokenizer, [new("user", "What is gravity?")], addGenerationPrompt: true);
        var stream = new StreamingDecoder(tokenizer);
        var text = new StringBuilder();
        model.Generate(question, options with { AdditionalStopTokens = chat.StopTokens(tokenizer) }, onToken: id => text.Append(stream.Append(id)));
        text.Append(stream.Finish());
        #endregion
        Assert.True(text.Length > 10);

        using var adapted = model.AttachAdapters();
        adapted.AddAdapter("poems", new FossilConfig { ShardSize = 64 });

        #region threads
        using (model.UseExclusively())                                             // one request: no other text between these two lines
        {
            adapted.SetAdapter("poems");
            text.Append(tokenizer.Decode(model.Generate(prompt, options)));
        }
        #endregion
        Assert.Contains(" Paris.", text.ToString());
        adapted.SetAdapter(AdaptedModel.DefaultAdapterName);

        var (lora, merged, gguf) = (folder["adapter.gguf"], folder["merged"], folder["merged.gguf"]);

        #region export
        adapted.SaveGgufLora(lora);                                                // for llama.cpp, Ollama and LLamaSharp, beside the base
        adapted.SaveMergedPretrained(merged, tokenizer: tokenizer);                // a Hugging Face folder
        adapted.SaveMergedGguf(gguf, GgufTensorType.Q8_0, tokenizer);              // one file; F32, F16, BF16, Q5_1, Q5_0, Q4_1, Q4_0 and MXFP4 too
        #endregion
        Assert.Equal(tokenizer.Encode("Hello world"), PretrainedTokenizer.FromPretrained(merged).Encode("Hello world"));
        Assert.Equal(tokenizer.Encode("Hello world"), PretrainedTokenizer.FromGguf(gguf).Encode("Hello world"));
        Assert.True(File.Exists(lora));
    }

    [SkippableFact]
    public void An_adapter_is_attached_to_the_blocks_of_the_file()
    {
        var path = SmolLM2.Model;

        #region quantised
        using var model = LlamaForCausalLM.FromGguf(path, bfloat16, keepQuantized: true);   // the blocks of the file, mapped
        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 64 });
        #endregion
        Assert.All(adapted.TrainableParameters(), named => Assert.Contains("miss_block", named.Name, StringComparison.Ordinal));
        Assert.All(model.modules().OfType<EncodableModule>(), module => Assert.False(module.IsFloatingPoint));
    }
}
