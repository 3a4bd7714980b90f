// Measures decoders whose matrices stay the blocks of a GGUF file.
//   dotnet run -c Release --project benchmarks/Quantised -- step model.gguf
using System.CommandLine;

var file = new Argument<FileInfo>("file") { Description = "A GGUF file" };
var tokens = new Option<int>("--tokens") { Description = "Tokens of each of the two sequences", DefaultValueFactory = _ => 128 };
var step = new Command("step", "Seconds of a training step over the blocks, beside one over the same weights in bfloat16.") { file, tokens };
step.SetAction(parsed => StepTime.Run(parsed.GetValue(file)!.FullName, parsed.GetValue(tokens)));
return await new RootCommand("Measures decoders over quantised weights.") { step }.Parse(args).InvokeAsync();
