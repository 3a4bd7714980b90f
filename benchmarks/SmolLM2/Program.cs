// Measures SmolLM2-135M: a training step, decoding, and the fine-tuning runs of its reference.
//   dotnet run -c Release --project benchmarks/SmolLM2 -- step --models FOLDER
using System.CommandLine;

var models = new Option<DirectoryInfo>("--models")
{
    Description = "Folder that holds SmolLM2-135M-Instruct",
    DefaultValueFactory = _ => new(Environment.GetEnvironmentVariable("FOSSIL_MODELS") ?? "../shared/models"),
    Recursive = true,
};
var step = new Command("step", "Seconds of a training step, 2x128 tokens, bfloat16, beside one 2048x2048x2048 matmul; and peak memory.");
step.SetAction(parsed => StepTime.Run(Base.In(parsed.GetValue(models)!)));
var decode = new Command("decode", "Seconds a token in bfloat16, adapter unmerged and merged.");
decode.SetAction(parsed => Decoding.Run(Base.In(parsed.GetValue(models)!)));
var only = new Option<string>("--only") { Description = "Only the runs whose name and dtype, as in \"miss-r16 bfloat16\", have this part", DefaultValueFactory = _ => "" };
var byLibTorch = new Option<bool>("--libtorch") { Description = "FOSSIL's runs by libtorch's own operations and autograd instead of this library" };
var firstGradient = new Option<string?>("--first-gradient") { Description = "PARAMETER:INDEX:VALUE, an element of the first step's gradient and what it shall be: how far one rounding carries" };
var runs = new Command("runs", "The fine-tuning runs of the reference, all steps, with perplexities.") { only, byLibTorch, firstGradient };
runs.SetAction(parsed => new ReferenceRuns(Base.In(parsed.GetValue(models)!), parsed.GetValue(byLibTorch), GradientElement.Parse(parsed.GetValue(firstGradient))).Run(parsed.GetValue(only)!) ? 0 : 1);
var wordProblems = new Command("word-problems", "The runs on the word problems over the float32 base, all steps: losses and norms beside PEFT's.") { only };
wordProblems.SetAction(parsed => WordProblemReport.Run(Base.In(parsed.GetValue(models)!), parsed.GetValue(only)!) ? 0 : 1);
// "memory" and "loading" start themselves for each of their parts: a process has only one peak.
var method = new Option<string?>("--method") { Hidden = true };
var memory = new Command("memory", "Peak memory of fine-tuning, bfloat16: FOSSIL r=64 beside LoRA r=32, here and by libtorch's own autograd.") { method };
memory.SetAction(async parsed =>
{
    if (parsed.GetValue(method) is not { } one) return await Memory.RunAll(parsed.GetValue(models)!);
    Memory.Run(Base.In(parsed.GetValue(models)!), one);
    return 0;
});
var file = new Option<string?>("--file") { Hidden = true };
var dtype = new Option<string>("--dtype") { Hidden = true, DefaultValueFactory = _ => "bfloat16" };
var loading = new Command("loading", "Peak memory of loading the GGUF file and a Hugging Face folder, beside the model's size.") { file, dtype };
loading.SetAction(async parsed =>
{
    if (parsed.GetValue(file) is not { } path) return await Loading.RunAll(Base.In(parsed.GetValue(models)!), parsed.GetValue(models)!);
    Loading.Run(path, parsed.GetValue(dtype)!);
    return 0;
});
return await new RootCommand("Measures SmolLM2-135M.") { models, step, decode, runs, wordProblems, memory, loading }.Parse(args).InvokeAsync();
