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
var only = new Option<string>("--only") { Description = "Only the runs whose name has this part", DefaultValueFactory = _ => "" };
var runs = new Command("runs", "The fine-tuning runs of the reference, all steps, with perplexities.") { only };
runs.SetAction(parsed => ReferenceRuns.Run(Base.In(parsed.GetValue(models)!), parsed.GetValue(only)!) ? 0 : 1);
return await new RootCommand("Measures SmolLM2-135M.") { models, step, decode, runs }.Parse(args).InvokeAsync();
