using Fossil.Models;
using static TorchSharp.torch;

namespace Fossil.Benchmarks;

/// <summary>Peak resident memory while a model is loaded, over that of an empty process with libtorch. The floor is the model and one tensor.</summary>
internal static class LoadingBenchmark
{
    public static IEnumerable<BenchmarkRow> Run(SuiteContext context)
    {
        var folder = Directory.CreateTempSubdirectory("smollm2-");
        try
        {
            double[] sizes;
            // There is no Hugging Face folder of the model at hand; this library writes one.
            using (var model = context.Source.Load(bfloat16))
            {
                model.SavePretrained(folder.FullName);
                sizes = [.. model.parameters().Select(parameter => parameter.numel() / 1e6)];
            }

            (string Name, string Path)[] files = [("GGUF (Q4_1)", context.Source.Gguf), ("Hugging Face folder (bfloat16)", folder.FullName)];
            return [.. from file in files from width in (int[])[2, 4] select Row(file.Name, file.Path, width, sizes)];
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        BenchmarkRow Row(string name, string path, int width, double[] sizes)
        {
            var peak = Spread.Of(Enumerable.Range(0, context.IsShort ? 1 : 3).Select(_ => OwnMemory.Measure(context.Source, "loading", path, width == 2 ? "bfloat16" : "float32")));
            var floor = width * (sizes.Sum() + sizes.Max());
            return new("loading", $"{name} as {(width == 2 ? "bfloat16" : "float32")}", "MB", peak, null, null, new(floor, floor, floor), [new("model and a tensor", peak.Median / floor, 1)]);
        }
    }

    /// <summary>Loads in this process, and gives the megabytes.</summary>
    public static double Load(string path, string dtypeName)
    {
        var dtype = dtypeName == "float32" ? float32 : bfloat16;
        // libtorch and its threads are there before the model is.
        using (var scope = NewDisposeScope()) ones(512, 512).mm(ones(512, 512)).sum().item<float>();
        var before = Base.Resident();
        using var model = File.Exists(path) ? LlamaForCausalLM.FromGguf(path, dtype) : LlamaForCausalLM.FromPretrained(path, dtype);
        return (Base.PeakResident() - before) / 1e6;
    }
}
