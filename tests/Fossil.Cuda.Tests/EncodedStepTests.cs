using Fossil.CompilerServices;
using Fossil.Models;
using Fossil.Models.Checkpoints.Quantised;
using Fossil.Models.Gguf;
using Fossil.Models.Tests.Quantised;
using Fossil.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>Models over quantised weights through a driver without a device. No other test has weights of these widths.</summary>
[Collection(nameof(FakeDriver))]
public sealed class EncodedStepTests
{
    /// <summary>
    /// Training steps over a file's blocks equal those on the CPU. Each of seven projections writes its blocks out and multiplies once forward, and once backward but for q, k and v, whose input is the
    /// embedding's and needs no gradient; the output layer likewise, where the host's loss in 16 bits does not read its rows twice; and the embedding looks its rows up.
    /// </summary>
    [SkippableTheory]
    [InlineData(GgufTensorType.Q4_K, "float", 1024, 1e-5, 8 + 5, 1)]
    [InlineData(GgufTensorType.Q8_0, "bfloat16", 288, 3e-2, 7 + 4, 3)]
    public void TrainingOverBlocksIsTrainingOnTheCpu(GgufTensorType type, string elementType, int width, double tolerance, int products, int readings)
    {
        var file = Path.Combine(Directory.CreateTempSubdirectory("fossil-blocks-").FullName, "model.gguf");
        var element = CudaElement.All.Single(element => element.CudaType == elementType);
        LlamaConfig config = new() { VocabSize = 96, HiddenSize = width, IntermediateSize = width, NumHiddenLayers = 1, NumAttentionHeads = 4, NumKeyValueHeads = 4, HeadDim = width / 4, TieWordEmbeddings = false };
        RandomBlocks.Write(file, config, type);
        var expected = Train();

        var driver = FakeDriver.Reset();
        driver.Run(CudaEncodedSource.Of(CudaEncodedFormat.Find(type.ToString())!, element, CudaElement.All[0]));
        CudaKernels.RegisterEncoded(driver.Runtime(), DeviceType.CPU, width);
        var actual = Train();

        Assert.Null(driver.Error);
        Assert.Equal(0, driver.Contexts);
        const int Steps = 2;
        Assert.Equal((Steps * (products + readings), Steps * products), (driver.LaunchesOf("write_rows"), driver.Cublas.Products));
        Assert.Equal(0, driver.LaunchesOf("multiply_few_rows"));
        foreach (var ((name, one), (_, other)) in expected.Zip(actual)) Assert.True(Math.Abs(one - other) <= tolerance * (1 + Math.Abs(one)), $"{name}: {one} on the CPU, {other}");

        List<(string Name, double Value)> Train()
        {
            using var scope = NewDisposeScope();
            random.manual_seed(3);
            using var model = LlamaForCausalLM.FromGguf(file, element.Dtype(), keepQuantized: true);
            using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 16, TargetModules = ["q_proj", "v_proj", "o_proj", "down_proj"] });
            using var optimizer = adapted.CreateOptimizer(learningRate: 0.01);
            using Generator generator = new(7);
            var tokens = randint(0, config.VocabSize, [2, 9], dtype: int64, generator: generator);
            return TwoSteps.Run(model, optimizer, tokens, adapted.TrainableParameters());
        }
    }

    /// <summary>Of a linear layer with a bias: few rows are one launch, many a launch and a product; both are added to the bias and rounded once. Tiles have one buffer.</summary>
    [SkippableTheory]
    [InlineData("Q6_K", "float", 1792)]
    [InlineData("Q5_0", "bfloat16", 352)]
    [InlineData("FourBits", "bfloat16", 360)]
    [InlineData("Int8", "float", 376)]
    [InlineData("Float8E4M3", "bfloat16", 392)]
    public void ProductsAreThoseOfTheCpu(string format, string type, int width)
    {
        using var scope = NewDisposeScope();
        var element = CudaElement.All.Single(element => element.CudaType == type);
        var weight = EncodedWeights.Of(format, 40, width, element.Dtype());
        using LinearLayer layer = new(weight, randn(40).to(element.Dtype()));
        (int Rows, Tensor X, Tensor DY)[] cases = [.. new[] { 1, 5, 70 }.Select(rows => (rows, randn(rows, width).to(element.Dtype()), randn(rows, 40).to(element.Dtype())))];
        var expected = cases.Select(Run).ToList();

        var driver = FakeDriver.Reset();
        driver.Run(CudaEncodedSource.Of(CudaEncodedFormat.Find(format)!, element, CudaElement.All[0]));
        CudaKernels.RegisterEncoded(driver.Runtime(), DeviceType.CPU, width);
        var actual = cases.Select(Run).ToList();

        Assert.Null(driver.Error);
        Assert.Equal((1, 1, 4, 4), (driver.LaunchesOf("multiply_single_row"), driver.LaunchesOf("multiply_few_rows"), driver.LaunchesOf("write_rows"), driver.Cublas.Products));
        foreach (var ((rows, _, _), (one, other)) in cases.Zip(expected.Zip(actual)))
        {
            AssertClose(one.Y, other.Y, $"y of {rows} rows");
            AssertClose(one.DX, other.DX, $"dx of {rows} rows");
        }

        // Behind the dtype the rows are those of the host, and the bytes stay where they are.
        Assert.True(weight.ToTensor(element.Dtype()).equal(EncodedWeights.Of(format, 40, width, element.Dtype()).ToTensor(element.Dtype())).all().item<bool>());

        (Tensor Y, Tensor DX) Run((int Rows, Tensor X, Tensor DY) one)
        {
            var x = one.X.detach().clone().requires_grad_();
            var y = layer.forward(x);
            y.backward([one.DY]);
            return (y.detach(), x.grad!);
        }

        void AssertClose(Tensor one, Tensor other, string at)
        {
            var worst = (one.to(float64) - other.to(float64)).abs().max().item<double>() / one.to(float64).abs().max().item<double>();
            Assert.True(worst <= (type == "float" ? 1e-5 : 1.0 / 64), $"{at}: off by {worst:g3}");
        }
    }

    /// <summary>What no kernel reads is written out by the host, on whatever device the bytes are.</summary>
    [SkippableFact]
    public void WhatNoKernelReadsStaysTheHosts()
    {
        using var scope = NewDisposeScope();
        const int Width = 416;
        var driver = FakeDriver.Reset();
        CudaKernels.RegisterEncoded(driver.Runtime(), DeviceType.CPU, Width);
        // Blocks that are no whole eights of a row's elements.
        FourBitLayout layout = new(4, Width, [.. Enumerable.Range(0, 16).Select(i => i / 8f)], new([.. Enumerable.Repeat(1f, 4 * Width / 4)]), 4, float32);
        FourBitWeight weight = new(zeros([4 * Width / 2], dtype: ScalarType.Byte), empty(0), layout);
        using LinearLayer layer = new(weight);
        Assert.Equal(0, layer.forward(ones(12, Width)).abs().sum().item<float>());
        Assert.Equal((0, 0), (driver.Launches, driver.Cublas.Products));
    }

    /// <summary>A launch that the device refuses is named, and nothing of the tile's buffer is held by the thread that failed.</summary>
    [SkippableFact]
    public void AFailedLaunchIsNamedAndTheBufferFreeAgain()
    {
        using var scope = NewDisposeScope();
        const int Width = 448;
        var driver = FakeDriver.Reset();
        driver.Run(CudaEncodedSource.Of(CudaEncodedFormat.Find("Q8_0")!, CudaElement.All[0], CudaElement.All[0]));
        CudaEncodedKernels kernels = new(driver.Runtime());
        var weight = EncodedWeights.Of("Q8_0", 8, Width, float32);
        var (x, y) = (KernelMatrix.Of(ones(20, Width)), KernelMatrix.Of(zeros(20, 8)));
        driver.Fail("cuLaunchKernel", 2);
        Assert.Contains("write_rows", Assert.Throws<CudaException>(() => kernels.TryProduct(y, x, weight.Encoded!, false)).Message, StringComparison.Ordinal);
        driver.Fail("cuLaunchKernel", 0);
        Assert.True(Task.Run(() => kernels.TryProduct(y, x, weight.Encoded!, false)).Result);
        Assert.Equal(0, driver.Contexts);
    }

    /// <summary>Blocks come to a device in pieces through its pinned memory, as they lie in the file.</summary>
    [SkippableFact]
    public void BlocksAreUploadedAsTheyLie()
    {
        using var scope = NewDisposeScope();
        var driver = FakeDriver.Reset();
        CudaUpload upload = new(driver.Runtime());
        var bytes = randint(0, 256, [3, (1 << 23) + 34], dtype: ScalarType.Byte);
        var there = zeros_like(bytes);
        TensorFiller.Upload(bytes, there.view(-1), upload);
        Assert.True(bytes.equal(there).all().item<bool>());
        Assert.Equal((bytes.numel(), 0), (driver.BytesToDevice, driver.Contexts));
    }
}
