// The frozen step of SmolLM2, 2x128 tokens in bfloat16, whenever a line is read: prints its milliseconds. Built in another commit's tree, so it has nothing but what was there then.
using System.Diagnostics;
using System.Globalization;
using static TorchSharp.torch;

const int Sequences = 2, Length = 128;
var source = Base.In(new DirectoryInfo(args[0]));
var tokens = source.Text();
using var model = source.Load(bfloat16);
model.train();
// Frozen but for the first norm: the gradient flows through every layer, to next to nothing that is trained.
foreach (var (name, parameter) in model.named_parameters()) parameter.requires_grad_(name == "model.layers.0.input_layernorm.weight");
var start = 0;
while (Console.ReadLine() is not null)
{
    // What others left in the caches costs the first of both.
    Step();
    Console.WriteLine(Step().ToString("R", CultureInfo.InvariantCulture));
}

double Step()
{
    using var scope = NewDisposeScope();
    var ids = Base.Batch(tokens, start, Sequences, Length);
    start = (start + (Sequences * Length)) % (tokens.Length - (Sequences * Length));
    var clock = Stopwatch.GetTimestamp();
    model.loss(ids, ids).backward();
    return Stopwatch.GetElapsedTime(clock).TotalMilliseconds;
}
