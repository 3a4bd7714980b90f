using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Fossil.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Fossil.CudaCheck;

/// <summary>
/// Training steps of a decoder of SmolLM2-135M's sizes, by TorchSharp on a libtorch that the machine has, as that of an installed PyTorch: their losses on the device and on the processor, and how long
/// one takes. Whether TorchSharp's native library runs on that libtorch is seen when it is loaded; where not, the file says why.
/// </summary>
internal static class ModelStep
{
    private const double Tolerance = 0.02;

    /// <summary>Writes the file.</summary>
    /// <param name="output">Its path.</param>
    /// <param name="libtorch">The folder of libtorch's libraries.</param>
    /// <param name="isQuick">A small decoder.</param>
    /// <param name="place">The device.</param>
    /// <returns>Whether the losses agree, or there is nothing that they could be computed with.</returns>
    public static bool Run(string output, string libtorch, bool isQuick, DeviceType place)
    {
        try
        {
            Load(libtorch, place);
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            return Skip(output, $"TorchSharp's native library does not run on the libtorch in {libtorch}: {exception.Message}");
        }
        return Run(output, isQuick, place);
    }

    /// <summary>libtorch first, so that TorchSharp's library, which names what it needs, finds it in the process.</summary>
    private static void Load(string libtorch, DeviceType place)
    {
        foreach (var file in place == DeviceType.CUDA ? new[] { "libtorch_cpu.so", "libtorch_cuda.so", "libtorch.so" } : ["libtorch_cpu.so", "libtorch.so"]) NativeLibrary.Load(Path.Combine(libtorch, file));
        const string Wrapper = "libLibTorchSharp.so";
        var beside = Array.Find([Path.Combine(libtorch, Wrapper), Path.Combine(AppContext.BaseDirectory, Wrapper)], File.Exists) ?? throw new DllNotFoundException($"there is no {Wrapper} beside this program.");
        NativeLibrary.Load(beside);
    }

    private static bool Run(string output, bool isQuick, DeviceType place)
    {
        List<string> warnings = [];
        FossilWarnings.Handler = warnings.Add;
        var config = new LlamaConfig
        {
            VocabSize = 49152, HiddenSize = 576, IntermediateSize = 1536, NumHiddenLayers = 30, NumAttentionHeads = 9, NumKeyValueHeads = 3, HeadDim = 64, TieWordEmbeddings = true,
        };
        if (isQuick) config = config with { VocabSize = 256, NumHiddenLayers = 2 };
        var (rows, length, steps) = isQuick ? (1, 16, 3) : (4, 512, 10);
        InitializeDeviceType(place);
        if (place == DeviceType.CUDA && !cuda.is_available()) return Skip(output, "libtorch sees no CUDA device");
        var (expected, _) = Train(config, new(DeviceType.CPU), rows, length, steps: 2);
        var (actual, times) = Train(config, new(place), rows, length, steps);
        var passed = expected.Zip(actual).All(pair => Math.Abs(pair.First - pair.Second) <= Tolerance * Math.Abs(pair.First));
        Write(output, json =>
        {
            json.WriteString("libtorch", $"{__version__}");
            json.WriteString("device", place.ToString());
            json.WriteBoolean("passed", passed);
            json.WriteString("tokens", $"{rows} x {length}");
            WriteAll(json, "losses", actual);
            WriteAll(json, "losses_on_the_processor", expected);
            json.WriteNumber("milliseconds_a_step", Math.Round(times.Order().ElementAt(times.Count / 2), 3));
            json.WriteStartArray("warnings");
            foreach (var warning in warnings) json.WriteStringValue(warning);
            json.WriteEndArray();
        });
        Console.WriteLine($"{(passed ? "ok  " : "FAIL")} a step of SmolLM2-135M's sizes, {rows} x {length} tokens, {times.Order().ElementAt(times.Count / 2):0.0} ms");
        return passed;
    }

    private static (List<double> Losses, List<double> Milliseconds) Train(LlamaConfig config, Device device, int rows, int length, int steps)
    {
        using var scope = NewDisposeScope();
        // The same numbers on whatever device: drawn on the processor.
        using Generator generator = new(1);
        using LlamaForCausalLM model = new(config, ScalarType.BFloat16, device);
        using (no_grad())
        {
            foreach (var matrix in model.parameters().Where(parameter => parameter.dim() > 1)) matrix.copy_(randn(matrix.shape, generator: generator).mul(0.02));
        }

        using var adapted = model.AttachAdapters(new FossilConfig { ShardSize = 16, TargetModules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] });
        adapted.Bf16Products = true;
        using var optimizer = adapted.CreateOptimizer(learningRate: 1e-3);
        var tokens = randint(0, config.VocabSize, [rows, length], dtype: ScalarType.Int64, generator: generator).to(device);
        List<double> losses = [], times = [];
        for (var step = 0; step < steps; step++)
        {
            using var ofStep = NewDisposeScope();
            var start = Stopwatch.GetTimestamp();
            var loss = model.loss(tokens, tokens);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            // Waits for the device.
            losses.Add(loss.item<float>());
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return (losses, times);
    }

    private static bool Skip(string output, string reason)
    {
        Write(output, json => json.WriteString("skipped", reason));
        Console.WriteLine($"skipped: a step of SmolLM2-135M's sizes: {reason}");
        return true;
    }

    private static void Write(string output, Action<Utf8JsonWriter> content)
    {
        using var stream = File.Create(output);
        using Utf8JsonWriter json = new(stream, new() { Indented = true });
        json.WriteStartObject();
        content(json);
        json.WriteEndObject();
    }

    private static void WriteAll(Utf8JsonWriter json, string name, IEnumerable<double> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }
}
