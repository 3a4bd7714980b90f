// dotnet run -c Release -- MODEL DATA [STEPS]: MODEL is a .gguf file, a Hugging Face folder, or a file of the hub as OWNER/NAME:FILE.gguf, DATA a .txt or .jsonl file.
using Fossil;
using Fossil.Models;
using Fossil.Models.Chat;
using Fossil.Models.Export;
using Fossil.Models.Hub;
using Fossil.Models.Tokenizers;
using Fossil.Training;
using static TorchSharp.torch;

if (args.Length < 2) return Fail("usage: dotnet run -c Release -- MODEL DATA [STEPS]");
var (modelPath, dataPath, steps) = (args[0], args[1], args.Length > 2 ? int.Parse(args[2]) : 60);
if (modelPath.Split(':') is [var repository, var file] && repository.Split('/').Length == 2) modelPath = await Downloaded(repository, file);
var isGguf = modelPath.EndsWith(".gguf", StringComparison.Ordinal);

// A GGUF file's matrices stay its blocks, mapped into memory: the adapter is trained over exactly what will be served.
using var model = isGguf ? LlamaForCausalLM.FromGguf(modelPath, bfloat16, keepQuantized: true) : LlamaForCausalLM.FromPretrained(modelPath, bfloat16);
var tokenizer = isGguf ? PretrainedTokenizer.FromGguf(modelPath) : PretrainedTokenizer.FromPretrained(modelPath);
var chat = ChatTemplate.Of(tokenizer);

// Text becomes windows of 256 tokens; JSONL becomes conversations of which only the answers are learnt.
var data = dataPath.EndsWith(".jsonl", StringComparison.Ordinal)
    ? ChatData.FromJsonl(dataPath, tokenizer, maxLength: 256, chat)
    : ChatData.FromText(dataPath, tokenizer, length: 256);
data.PrintSummary(tokenizer);
var (training, heldOut) = data.Split(Math.Clamp(data.Count / 20, 1, 16));

using var adapted = model.AttachAdapters(new FossilConfig { TargetModules = "all-linear", ShardSize = 64 });
adapted.PrintTrainableParameters();
var trainer = new Trainer<TokenBatch>(
    new TrainableAdapter(adapted), model.loss,
    new TrainingArguments { LearningRate = 5e-4, WarmupSteps = 5, MaxSteps = steps, BatchSize = 2, LoggingSteps = 10, Bf16 = true },
    training, heldOut, [new ProgressWriter()]);
trainer.Train();

const string Question = "Who was cast out of Heaven, and why?";
using (adapted.DisableAdapters()) Compare("before");
Compare("after");

adapted.SavePretrained("fine-tuned/adapter");               // PEFT loads this folder
adapted.SaveGgufLora("fine-tuned/adapter.gguf");            // llama.cpp, Ollama and LLamaSharp load this file beside the base
adapted.SaveMergedPretrained("fine-tuned/model", tokenizer: tokenizer); // transformers loads this folder

for (string? line; (line = Prompt()) is { Length: > 0 };) Console.WriteLine(Answer(line));
return 0;

void Compare(string when) => Console.WriteLine($"\n{when}: perplexity {Math.Exp(trainer.Evaluate()):f1} on held-out data; \"{Question}\" {Answer(Question)}");

string Answer(string question)
{
    var prompt = chat.Encode(tokenizer, [new("user", question)], addGenerationPrompt: true);
    var answer = model.Generate(prompt, new GenerationOptions { MaxNewTokens = 64, RepetitionPenalty = 1.1, AdditionalStopTokens = chat.StopTokens(tokenizer) });
    return tokenizer.Decode(answer, skipSpecialTokens: true).Trim();
}

// Into the cache that huggingface_hub uses too, once.
static async Task<string> Downloaded(string repository, string file)
{
    using var hub = new HubClient();
    return await hub.DownloadGgufAsync(repository, file);
}

static string? Prompt()
{
    Console.Write("\n> ");
    return Console.ReadLine();
}

static int Fail(string message)
{
    Console.Error.WriteLine(message);
    return 1;
}
