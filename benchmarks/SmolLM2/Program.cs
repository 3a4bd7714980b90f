// The fine-tuning runs of SmolLM2-135M's reference, number by number; what they cost is measured by benchmarks/Fossil.Benchmarks.
//   dotnet run -c Release --project benchmarks/SmolLM2 -- runs --models FOLDER
using System.CommandLine;

var models = new Option<DirectoryInfo>("--models")
{
    Description = "Folder that holds SmolLM2-135M-Instruct",
    DefaultValueFactory = _ => new(Environment.GetEnvironmentVariable("FOSSIL_MODELS") ?? "../shared/models"),
    Recursive = true,
};
var only = new Option<string>("--only") { Description = "Only the runs whose name and dtype, as in \"miss-r16 bfloat16\", have this part", DefaultValueFactory = _ => "" };
var byLibTorch = new Option<bool>("--libtorch") { Description = "FOSSIL's runs by libtorch's own operations and autograd instead of this library" };
var firstGradient = new Option<string?>("--first-gradient") { Description = "PARAMETER:INDEX:VALUE, an element of the first step's gradient and what it shall be: how far one rounding carries" };
var runs = new Command("runs", "The fine-tuning runs of the reference, all steps, with perplexities.") { only, byLibTorch, firstGradient };
runs.SetAction(parsed => new ReferenceRuns(Base.In(parsed.GetValue(models)!), parsed.GetValue(byLibTorch), GradientElement.Parse(parsed.GetValue(firstGradient))).Run(parsed.GetValue(only)!) ? 0 : 1);
var wordProblems = new Command("word-problems", "The runs on the word problems over the float32 base, all steps: losses and norms beside PEFT's.") { only };
wordProblems.SetAction(parsed => WordProblemReport.Run(Base.In(parsed.GetValue(models)!), parsed.GetValue(only)!) ? 0 : 1);
return new RootCommand("SmolLM2-135M beside PEFT's runs.") { models, runs, wordProblems }.Parse(args).Invoke();
