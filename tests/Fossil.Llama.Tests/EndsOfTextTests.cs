using Fossil.Models.Gguf;
using Fossil.TestData;

namespace Fossil.Llama.Tests;

/// <summary>Which tokens end a text: by text, by key and in combination, here and in llama.cpp.</summary>
public sealed class EndsOfTextTests : IDisposable
{
    private const string Prefix = "tokenizer.ggml.";

    // Markers of published models, those that end texts and those that do not.
    private static readonly string[] Markers =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "_<EOT>", "<|end_of_text|>", "<end_of_utterance>", "</s>", "<eos>",
        "<s>", "[EOT]", "[EOS]", "<｜end▁of▁sentence｜>", "<|endofturn|>", "<|END_OF_TURN_TOKEN|>", "<|end_of_turn|>", "<|turn_end|>", "<|eot|>", "<|eom|>", "<turn|>", "<|turn|>", "<|im_start|>", "<|user|>", "<|assistant|>",
        "<|eos|>", "<seed:eos>", "<|EOT|>", "[e~[", "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<pad>", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<repo_name>", "<|file_sep|>", "<file_sep>",
        "<|fim_prefix|>", "<filename>", "<|tool_call|>", "<tool_call|>", "<|tool_response>", "<|tool_response|>", "<unk>", "<|message|>", "<|start|>", "<|channel|>", "<|role_end|>", "<|end_of_role|>", "<|endofresponse|>",
        "<|end_header_id|>", "</e>", "<end>", "<|im_sep|>", "<|endofprompt|>", "[gMASK]", "<|observation|>", "<EOM>", "<eot>", "[/INST]", "<|eod|>", "<EOS>", "<|extra_0|>", "<EOD>", "[SEP]", "<|diff_marker|>", "▁<EOT>",
    ];

    private static readonly string[] Keys = ["eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep", "padding", "unknown", "fim_pre"];

    private readonly TemporaryFolder folder = new();

    [Fact]
    public void Markers_end_texts_as_in_llama_cpp() => AssertSame(Markers.Select(marker => (new[] { marker }, Keyed: (string?)null)));

    [Fact]
    public void Keys_name_ends_as_in_llama_cpp() => AssertSame(Keys.SelectMany(key => new[] { "<|im_end|>", "<|fim_pad|>", "<reponame>", "<|file_sep|>" }.Select(marker => (new[] { marker }, Keyed: (string?)key))));

    [Fact]
    public void Markers_that_take_the_end_from_others_do_so_as_in_llama_cpp() => AssertSame(new string[][]
    {
        ["<|end|>", "<|return|>"], ["<|end|>", "<|return|>", "<|call|>"], ["<|end|>", "<|calls|>", "<|flush|>"], ["<|end|>", "<|call|>", "<|flush|>"], ["<|end|>", "<|calls|>"], ["<|end|>", "<|return|>", "<|calls|>"], ["<|end|>", "<|return|>", "<|flush|>"],
        ["</s>", "<|tool_response>"], ["</s>", "<turn|>"], ["<eos>", "<|tool_response>", "<turn|>"], ["<|im_end|>", "<|endoftext|>", "<|repo_name|>", "<|file_sep|>", "<|fim_pad|>"],
    }.Select(markers => (markers, Keyed: (string?)null)));

    public void Dispose() => folder.Dispose();

    private void AssertSame(IEnumerable<(string[] Markers, string? Key)> cases)
    {
        var wrong = new List<string>();
        foreach (var (markers, key) in cases)
        {
            // llama.cpp takes 11 for the beginning of a text.
            string[] tokens = ["Ċ", .. Enumerable.Range(1, 12).Select(id => $"word{id}"), .. markers];
            var metadata = new GgufMetadata
            {
                ["general.architecture"] = GgufValue.Of("llama"),
                [Prefix + "model"] = GgufValue.Of("gpt2"),
                [Prefix + "pre"] = GgufValue.Of("gpt-2"),
                [Prefix + "tokens"] = GgufValue.OfArray(tokens),
                [Prefix + "token_type"] = GgufValue.OfArray(tokens.Select(_ => 1).ToArray()),
                [Prefix + "merges"] = GgufValue.OfArray(new[] { "a b" }),
                [Prefix + "eos_token_id"] = GgufValue.Of(3u),
            };
            if (key is not null) metadata[$"{Prefix}{key}_token_id"] = GgufValue.Of(2u);
            GgufWriter.Save(folder["v.gguf"], metadata, []);
            using var client = new LlamaVocabulary(folder["v.gguf"]);
            var (ours, theirs) = (Texts(GgufTokenIds.FindEnds(metadata, tokens.Length)), Texts(client.Ends));
            if (ours != theirs) wrong.Add($"{string.Join(' ', markers)} with {key ?? "no"} key: {ours} instead of {theirs}");

            string Texts(IEnumerable<int> ids) => string.Join(' ', ids.Order().Select(id => tokens[id]));
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }
}
