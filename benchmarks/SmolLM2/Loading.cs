using Fossil.Models;
using static TorchSharp.torch;

/// <summary>Peak resident memory while a model is loaded, beside its size; the bar is the model and one tensor. Each file and dtype in a process of its own.</summary>
internal static class Loading
{
    public static async Task<int> RunAll(Base source, DirectoryInfo models)
    {
        var folder = Directory.CreateTempSubdirectory("smollm2-");
        try
        {
            // There is no Hugging Face folder of the model at hand; this library writes one.
            using (var model = source.Load(bfloat16)) model.SavePretrained(folder.FullName);
            foreach (var (path, dtype) in new[] { (source.Gguf, "bfloat16"), (source.Gguf, "float32"), (folder.FullName, "bfloat16"), (folder.FullName, "float32") })
            {
                if (await OwnProcess.RunAsync("loading", "--models", models.FullName, "--file", path, "--dtype", dtype) is not 0 and var code) return code;
            }
            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public static void Run(string path, string dtypeName)
    {
        var dtype = dtypeName == "float32" ? float32 : bfloat16;
        // libtorch and its threads are there before the model is.
        using (var scope = NewDisposeScope()) ones(512, 512).mm(ones(512, 512)).sum().item<float>();
        var before = Base.Resident();
        using var model = File.Exists(path) ? LlamaForCausalLM.FromGguf(path, dtype) : LlamaForCausalLM.FromPretrained(path, dtype);
        var peak = Base.PeakResident() - before;
        var sizes = model.parameters().Select(parameter => parameter.numel() * parameter.element_size()).ToList();
        Console.WriteLine($"{Path.GetFileName(path)} as {dtypeName}: peak {peak / 1e6:f0} MB over an empty process, model {sizes.Sum() / 1e6:f0} MB, largest tensor {sizes.Max() / 1e6:f0} MB");
    }
}
