using Fossil.Models;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using static TorchSharp.torch;

namespace Fossil.Fuzz;

/// <summary>GGUF files: the header, each tensor, the vocabulary and the model's configuration.</summary>
internal sealed class GgufTarget : FuzzTarget
{
    public override string Pattern => "*.gguf";

    public override IReadOnlyList<byte[]> BuiltIn { get; } = [Write([]), Write([GgufTensorType.F32]), Write([GgufTensorType.F16, GgufTensorType.BF16, GgufTensorType.Q8_0, GgufTensorType.F32])];

    public override void Read(string path)
    {
        using var scope = NewDisposeScope();
        using var file = GgufFile.Open(path);
        var claimed = file.Tensors.Sum(tensor => tensor.ByteCount);
        if (claimed > new FileInfo(path).Length) throw new InvalidOperationException($"The header of {path} claims {claimed} bytes of data, more than the file has.");
        foreach (var tensor in file.Tensors)
        {
            try
            {
                using var loaded = file.Load(tensor.Name);
                using var converted = file.Load(tensor.Name, ScalarType.BFloat16);
            }
            catch (GgufException exception) when (exception.Error == GgufError.UnsupportedTensorType)
            {
                // The one thing that may be found out only now.
                continue;
            }
        }

        var tokenizer = PretrainedTokenizer.FromGguf(file);
        tokenizer.Decode(tokenizer.Encode("Hello world <s>"));
    }

    private static byte[] Write(GgufTensorType[] types)
    {
        var path = Path.GetTempFileName();
        try
        {
            var metadata = new GgufMetadata
            {
                ["general.architecture"] = GgufValue.Of("llama"),
                ["general.alignment"] = GgufValue.Of(32u),
                ["llama.block_count"] = GgufValue.Of(1u),
                ["llama.rope.freq_base"] = GgufValue.Of(10000f),
                ["tokenizer.ggml.model"] = GgufValue.Of("gpt2"),
                ["tokenizer.ggml.pre"] = GgufValue.Of("smollm"),
                ["tokenizer.ggml.tokens"] = GgufValue.OfArray(new[] { "<s>", "H", "e", "l", "o", "Ġ", "w", "He", "ll", "lo", "Hello" }),
                ["tokenizer.ggml.token_type"] = GgufValue.OfArray(new[] { 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }),
                ["tokenizer.ggml.merges"] = GgufValue.OfArray(new[] { "H e", "l l", "l o" }),
                ["tokenizer.ggml.bos_token_id"] = GgufValue.Of(0u),
                ["tokenizer.ggml.add_bos_token"] = GgufValue.Of(true),
                ["nested"] = GgufValue.OfArray(new[] { GgufValue.OfArray(new byte[] { 1, 2 }) }),
            };
            GgufWriter.Save(path, metadata, [.. types.Select((type, index) => new GgufTensorSource($"blk.{index}.attn_q.weight", type, [index + 1, 32], () => ones(index + 1, 32)))]);
            return File.ReadAllBytes(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}

/// <summary>Tokenizers in Hugging Face's form.</summary>
internal sealed class TokenizerTarget : FuzzTarget
{
    public override string Pattern => "tokenizer.json";

    public override IReadOnlyList<byte[]> BuiltIn { get; } =
    [
        """
        {"added_tokens":[{"id":7,"content":"<s>","special":true,"lstrip":false,"rstrip":true,"single_word":false}],
        "normalizer":{"type":"NFC"},
        "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"Split","pattern":{"Regex":"\\s+(?!\\S)| ?\\p{L}+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<s>":{"id":"<s>","ids":[7],"tokens":["<s>"]}}},
        "model":{"type":"BPE","ignore_merges":false,"vocab":{"H":0,"e":1,"l":2,"o":3,"He":4,"ll":5,"Ġ":6},"merges":["H e",["l","l"]]}}
        """u8.ToArray(),
        """
        {"added_tokens":[{"id":0,"content":"<s>","special":true}],
        "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
        "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
        "model":{"type":"BPE","unk_token":"<s>","fuse_unk":true,"byte_fallback":true,"vocab":{"<s>":0,"▁":1,"H":2,"e":3,"l":4,"o":5,"▁H":6,"ll":7,"😀":8},"merges":["▁ H","l l"]}}
        """u8.ToArray(),
        """
        {"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true},
        "decoder":{"type":"Replace","pattern":{"String":"▁"},"content":" "},
        "model":{"type":"BPE","vocab":{"▁":1,"H":2,"e":3,"l":4,"ll":7},"merges":["l l"]}}
        """u8.ToArray(),
    ];

    public override void Read(string path)
    {
        var folder = Directory.CreateTempSubdirectory("fossil-fuzz-").FullName;
        try
        {
            File.Copy(path, Path.Combine(folder, Pattern));
            var tokenizer = PretrainedTokenizer.FromPretrained(folder);
            tokenizer.Decode(tokenizer.Encode("Hello 12 <s> x"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}

/// <summary>Hugging Face's configurations of decoders.</summary>
internal sealed class ModelConfigTarget : FuzzTarget
{
    public override string Pattern => LlamaConfig.FileName;

    public override IReadOnlyList<byte[]> BuiltIn { get; } =
    [
        """
        {"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":96,"hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
        "head_dim":32,"hidden_act":"silu","rms_norm_eps":1e-05,"rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192},
        "attention_bias":false,"tie_word_embeddings":true,"bos_token_id":1,"eos_token_id":[2,3],"pad_token_id":null}
        """u8.ToArray(),
        """
        {"model_type":"qwen3","vocab_size":96,"hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"layer_types":["full_attention","sliding_attention"],
        "use_sliding_window":true,"sliding_window":16,"rope_parameters":{"rope_theta":1e6,"rope_type":"default"},"eos_token_id":2}
        """u8.ToArray(),
    ];

    public override void Read(string path)
    {
        var config = LlamaConfig.Load(path);
        config.Save(path);
        if (LlamaConfig.Load(path).ToJson().ToJsonString() != config.ToJson().ToJsonString()) throw new InvalidOperationException($"The configuration of {path} is another one after writing and reading.");
    }
}
