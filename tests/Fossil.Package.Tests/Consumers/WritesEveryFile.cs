// Every kind of file that the packages write, written and read back.
using System.Text.Json.Nodes;
using Fossil;
using Fossil.Models;
using Fossil.Models.Export;
using Fossil.Models.Gguf;
using Fossil.Models.Tokenizers;
using Fossil.Training;
using static TorchSharp.torch;

var tokenizer = Tokenizer();
random.manual_seed(1);
var config = new LlamaConfig { VocabSize = 256, HiddenSize = 64, IntermediateSize = 128, NumHiddenLayers = 2, NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 16 };
using var model = new LlamaForCausalLM(config);
var adapted = model.AttachAdapters(new FossilConfig { TargetModules = "all-linear", ShardSize = 16 });

var data = TokenData.FromWindows([.. Enumerable.Range(0, 256).Select(i => i * 7 % 256)], 32, "numbers");
TrainingResult Train(int steps, bool resume) => new Trainer<TokenBatch>(
    new TrainableAdapter(adapted), model.loss,
    new TrainingArguments { OutputDirectory = "run", MaxSteps = steps, SaveSteps = 2, LoggingSteps = 1, BatchSize = 2, LearningRate = 1e-2 },
    data, data, [new JsonLinesLog("log.jsonl"), new TensorBoardLog("events")]).Train(resume);
Train(2, resume: false);
Check("resumed", Train(4, resume: true).State.Logs.Count == 4 && File.ReadLines("log.jsonl").Count() == 6);

adapted.SavePretrained("adapter");
adapted.SaveGgufLora("adapter.gguf");
using var input = arange(0, 32, dtype: ScalarType.Int64).view(1, -1);
using var expected = model.forward(input);
adapted.Dispose();
var lora = new LoraConfig { Rank = 4, Alpha = 6.5, TargetModules = ModuleSelector.Create(["q_proj", "v_proj"]), RankPattern = new Dictionary<string, int> { ["q_proj"] = 2 } };
Check("configuration", AdapterConfig.Parse(lora.ToJson()).ToJson() == lora.ToJson());

using (var loaded = model.LoadPretrained("adapter"))
{
    Check("adapter", Same(model));
    loaded.Merge();
    model.SavePretrained("merged", tokenizer: tokenizer, maxShardBytes: 100_000);
    model.SaveGguf("merged.gguf", GgufTensorType.F32, tokenizer);
}

using (var merged = LlamaForCausalLM.FromPretrained("merged")) Check("folder", Same(merged) && File.Exists("merged/model.safetensors.index.json"));
using (var merged = LlamaForCausalLM.FromGguf("merged.gguf")) Check("GGUF", Same(merged));
var again = PretrainedTokenizer.FromGguf("merged.gguf");
model.SavePretrained("from-gguf", tokenizer: again);
Check("tokenizer", PretrainedTokenizer.FromPretrained("from-gguf").Encode("fossil").SequenceEqual(tokenizer.Encode("fossil")));

bool Same(LlamaForCausalLM other)
{
    using var actual = other.forward(input);
    return allclose(actual, expected, rtol: 1e-3, atol: 1e-4);
}

static void Check(string what, bool holds) => Console.WriteLine($"{what}: {holds}");

// GPT-2's alphabet: printable bytes are themselves, the others come from U+0100 on.
static PretrainedTokenizer Tokenizer()
{
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
    Directory.CreateDirectory("tokenizer");
    File.WriteAllText("tokenizer/tokenizer.json", tokenizer.ToJsonString());
    File.WriteAllText("tokenizer/tokenizer_config.json", "{}");
    return PretrainedTokenizer.FromPretrained("tokenizer");
}
