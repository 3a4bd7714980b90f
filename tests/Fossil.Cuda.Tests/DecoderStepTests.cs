using Fossil.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>Training steps of a whole decoder through a driver without a device. No other test has its sizes.</summary>
[Collection(nameof(FakeDriver))]
public sealed class DecoderStepTests
{
    /// <summary>Every operation of a step that has a kernel goes through the driver: norms, rotary positions, repeated heads, gates, cross-entropy in blocks, shard sums, products, AdamW.</summary>
    [SkippableTheory]
    [InlineData("float", 13, 1e-5)]
    [InlineData("bfloat16", 17, 2e-2)]
    public void ADecoderTrainsAsOnTheCpu(string type, int shardSize, double tolerance)
    {
        var element = CudaElement.All.Single(element => element.CudaType == type);
        var dtype = Enum.Parse<ScalarType>(element.Name);
        var driver = FakeDriver.Reset();
        var config = new LlamaConfig
        {
            VocabSize = (8 * shardSize) + 17, HiddenSize = 8 * shardSize, IntermediateSize = (8 * shardSize) + 48, NumHiddenLayers = 2, NumAttentionHeads = 2, NumKeyValueHeads = 1, HeadDim = 4 * shardSize,
        };
        var expected = Train(config, dtype, shardSize);
        Assert.Equal(0, driver.Launches);

        foreach (var source in new[] { CudaDecoderSource.Of(element), CudaShardSource.Of(shardSize, element), CudaOptimizerLaunches.Source }) driver.Run(source);
        var runtime = driver.Runtime();
        foreach (var size in new long[] { config.HiddenSize, config.HeadDim, config.IntermediateSize, config.VocabSize }) CudaKernels.RegisterDecoders(runtime, DeviceType.CPU, size);
        CudaKernels.Register(runtime, DeviceType.CPU, shardSize);
        var actual = Train(config, dtype, shardSize);

        Assert.Null(driver.Error);
        Assert.Equal(0, driver.Contexts);
        // Two steps: five norms, of which the first has no gradient to make; two rotations and a repetition of values a layer; one gate.
        Assert.Equal((10, 8), (driver.LaunchesOf("rms_norm"), driver.LaunchesOf("rms_norm_input_gradient")));
        Assert.Equal((12, 12), (driver.LaunchesOf("rotary"), driver.LaunchesOf("rotary_backward")));
        Assert.Equal((4, 4), (driver.LaunchesOf("silu_gate"), driver.LaunchesOf("silu_gate_backward")));
        Assert.Equal(2, driver.LaunchesOf("cross_entropy"));
        // And what the six adapters of each layer launch, once forward at least.
        Assert.True(driver.Launches >= 52 + 24, $"{driver.Launches} launches");
        foreach (var ((name, one), (_, other)) in expected.Zip(actual)) Assert.True(Math.Abs(one - other) <= tolerance * (1 + Math.Abs(one)), $"{name}: {one} on the CPU, {other}");
    }

    /// <summary>Two steps: losses, and what each adapter has become.</summary>
    private static List<(string Name, double Value)> Train(LlamaConfig config, ScalarType dtype, int shardSize)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        using var model = new LlamaForCausalLM(config, dtype);
        using (no_grad())
        {
            foreach (var matrix in model.parameters().Where(parameter => parameter.dim() > 1)) matrix.normal_(0, 0.1, generator);
        }

        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = shardSize, TargetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"] });
        using var optimizer = adapted.CreateOptimizer(learningRate: 0.01);
        var tokens = randint(0, config.VocabSize, [2, 9], dtype: int64, generator: generator);
        return TwoSteps.Run(model, optimizer, tokens, model.named_parameters().Where(named => named.parameter.requires_grad));
    }
}
