using Fossil.Cuda.Tests;

namespace Fossil.Distributed.Tests;

/// <summary>A program that knows of no ranks but for what it prints.</summary>
public sealed class SampleTests
{
    [SkippableFact]
    public void A_sample_runs_under_mpirun_as_it_is()
    {
        var output = Directory.CreateTempSubdirectory("fossil-sample-").FullName;
        var program = Path.Combine(Tools.Repository, "samples", "ParadiseLost", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "ParadiseLost.dll");
        var job = Mpirun.StartProgram("openmpi", 2, [("NO_COLOR", "1")], output, program, "--steps", "2", "--batch", "1", "--length", "24", "--output", output).Wait();
        Assert.True(job.Process.ExitCode == 0, job.Output);
        foreach (var once in new[] { "trainable params: ", "step 2/2", "Held-out perplexity", "Adapter (PEFT reads it)" }) Assert.Equal(1, job.Output.Split(once).Length - 1);
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors", "loss.png"], Directory.GetFiles(output).Select(Path.GetFileName).Order());
    }
}
