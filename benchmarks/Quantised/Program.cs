// Measures decoders whose matrices stay the blocks of a GGUF file.
//   dotnet run -c Release --project benchmarks/Quantised -- step model.gguf
//   dotnet run -c Release --project benchmarks/Quantised -- decode model.gguf
using System.CommandLine;
using System.Text.Json;
using Fossil.Models.Gguf;

var file = new Argument<FileInfo>("file") { Description = "A GGUF file" };
var text = new Argument<FileInfo>("text") { Description = "A text to learn from and to be measured on" };
var type = new Option<GgufTensorType>("--type") { Description = "Type of all matrices", DefaultValueFactory = _ => GgufTensorType.Q4_0 };
var layers = new Option<int>("--layers") { Description = "Number of layers; 22 make 1.1 billion parameters", DefaultValueFactory = _ => 22 };
var tokens = new Option<int>("--tokens") { Description = "Tokens of each of the two sequences", DefaultValueFactory = _ => 128 };
var repetitions = new Option<int>("--repetitions") { Description = "Steps that count", DefaultValueFactory = _ => 9 };
var steps = new Option<int>("--steps") { Description = "Training steps", DefaultValueFactory = _ => 40 };
var copied = new Option<bool>("--copied") { Description = "Copy the blocks instead of mapping the file" };
var checkpointing = new Option<bool>("--checkpointing") { Description = "Compute activations again in the backward pass" };
var json = new Option<bool>("--json") { Description = "Print the numbers as JSON", Recursive = true };

var write = new Command("write", "Writes a Llama of random weights, of 1.1 billion parameters, all its matrices of one type.") { file, type, layers };
write.SetAction(parsed => LargeLlama.Write(parsed.GetValue(file)!.FullName, parsed.GetValue(type), parsed.GetValue(layers)));
var requantise = new Command("requantise", "Writes a model again with all matrices of one type.") { file, type };
requantise.SetAction(parsed => Requantised.Write(parsed.GetValue(file)!.FullName, parsed.GetValue(type)));
var step = new Command("step", "Seconds of a training step over the blocks, beside one over the same weights in bfloat16.") { file, tokens, repetitions };
step.SetAction(parsed => Print(parsed, StepTime.Run(parsed.GetValue(file)!.FullName, parsed.GetValue(tokens), parsed.GetValue(repetitions))));
var memory = new Command("memory", "Resident memory of the model after one forward pass, and how it grows in a training step, over a process that has libtorch alone.") { file, tokens, copied };
memory.SetAction(parsed => Print(parsed, ResidentMemory.Run(parsed.GetValue(file)!.FullName, parsed.GetValue(tokens), parsed.GetValue(copied))));
var perplexity = new Command("perplexity", "What an adapter that is trained over a file changes in perplexity, here and in llama.cpp over the same file.") { file, text, steps };
perplexity.SetAction(parsed => Print(parsed, ServedPerplexity.Run(parsed.GetValue(file)!.FullName, parsed.GetValue(text)!.FullName, parsed.GetValue(steps))));
var large = new Command("large", "Peak memory and time of training steps over a file, 2x512 tokens, in a process of their own.") { file, checkpointing };
large.SetAction(parsed => Print(parsed, PeakMemory.Run(parsed.GetValue(file)!.FullName, parsed.GetValue(checkpointing))));
var decode = new Command("decode", "Tokens a second over the blocks, beside llama.cpp's over the same file.") { file };
decode.SetAction(parsed => DecodeSpeed.Run(parsed.GetValue(file)!.FullName));
return new RootCommand("Measures decoders over quantised weights.") { json, write, requantise, step, memory, perplexity, large, decode, ResidentMemory.Child(), PeakMemory.Child() }.Parse(args).Invoke();

void Print<T>(ParseResult parsed, T result) => Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(result) : result!.ToString());
