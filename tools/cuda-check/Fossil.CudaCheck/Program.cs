// Checks the CUDA kernels on a device, with no library beside the driver's, NVRTC and, for products, cuBLAS: what they compute, against the host, and their times; and training steps, where there is a
// libtorch too. docs/cuda.md says how it is built and run.
using System.Globalization;
using Fossil.Cuda;
using Fossil.Cuda.Native;
using Fossil.CudaCheck;

const string Usage = """
    Fossil.CudaCheck run --output FILE.json [--quick] [--shard-sizes 16,64] [--types BFloat16,Float32] [--formats Q8_0,Q4_K]
    Fossil.CudaCheck dump --output FOLDER [--architecture 90] (the same options)
    Fossil.CudaCheck prepare (the same options): compiles into the cache, as a program's first launches do
    Fossil.CudaCheck step --output FILE.json --libtorch FOLDER [--quick] [--device CPU]: training steps, where TorchSharp runs on the libtorch of that folder
    """;

var verb = args.FirstOrDefault();
var options = new Dictionary<string, string>(StringComparer.Ordinal);
for (var i = 1; i < args.Length; i++)
{
    var hasValue = i + 1 < args.Length && !args[i + 1].StartsWith("--", StringComparison.Ordinal);
    options[args[i]] = hasValue ? args[++i] : "";
}

var isQuick = options.ContainsKey("--quick");
var shardSizes = options.GetValueOrDefault("--shard-sizes", "16,64,100,1024").Split(',').Select(size => int.Parse(size, CultureInfo.InvariantCulture)).ToArray();
var types = options.GetValueOrDefault("--types", "BFloat16,Float32,Float16").Split(',').Select(Enum.Parse<ElementType>).ToArray();
var formats = options.GetValueOrDefault("--formats", "Q8_0,Q4_K").Split(',');

try
{
    switch (verb)
    {
        case "run" when options.TryGetValue("--output", out var output): return Run(output);
        case "step" when options.TryGetValue("--output", out var file) && options.TryGetValue("--libtorch", out var libtorch):
            return ModelStep.Run(file, libtorch, isQuick, Enum.Parse<TorchSharp.DeviceType>(options.GetValueOrDefault("--device", "CUDA"))) ? 0 : 1;
        case "dump" when options.TryGetValue("--output", out var folder):
            Dump.Write(folder, [.. Cases(hasProducts: false)], new(CudaLibrary.Nvrtc.Load()), int.Parse(options.GetValueOrDefault("--architecture", "90"), CultureInfo.InvariantCulture), multiprocessors: 132);
            return 0;
        case "prepare":
            var device = Device();
            foreach (var (name, text) in Cases(hasProducts: false).Select(one => one.Source).Distinct())
            {
                if (!device.Prepare(text, name)) return 1;
            }
            return 0;
        default:
            Console.Error.WriteLine(Usage);
            return 2;
    }
}
catch (Fossil.CudaException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}

static CudaDevice Device() => CudaRuntime.OfProcess.Device(0) ?? throw new Fossil.CudaException("There is no device to check.");

IEnumerable<KernelCase> Cases(bool hasProducts)
{
    foreach (var type in types)
    {
        // The goals' sizes for r = 16; the other shard sizes once each.
        foreach (var shardSize in shardSizes)
        {
            foreach (var rows in isQuick ? [1, 3] : shardSize == 16 ? [1, 64, 256, 1024] : new[] { 64, 256 })
            {
                foreach (var one in isQuick ? ShardCases.Of(shardSize, type, rows, (4 * shardSize) + 8, 96, hasProducts) : ShardCases.Of(shardSize, type, rows, 4096, 4096, hasProducts)) yield return one;
            }
        }
        foreach (var rows in isQuick ? [1, 3] : new[] { 1, 8 })
        {
            foreach (var one in formats.SelectMany(format => isQuick ? EncodedCases.Of(format, type, rows, 512, 24) : EncodedCases.Of(format, type, rows, 4096, 4096))) yield return one;
        }
        foreach (var one in isQuick ? DecoderCases.Of(type, 9, 96, 48, 72, 200) : DecoderCases.Of(type, 1024, 4096, 128, 11008, 32000)) yield return one;
    }
    foreach (var one in OptimizerCases.Of(isQuick ? 5000 : 1 << 24)) yield return one;
}

int Run(string output)
{
    var device = Device();
    var cublas = CudaRuntime.OfProcess.Cublas;
    Measurement measurement = new(device, cublas, launches: isQuick ? 3 : 200, bytes: isQuick ? 1 << 16 : 5L << 28);
    var copy = measurement.CopyBandwidth();
    Console.WriteLine($"copy {copy:0.0} GB/s");
    List<CaseResult> results = [];
    foreach (var one in Cases(cublas is not null))
    {
        var result = measurement.Run(one);
        results.Add(result);
        Console.WriteLine($"{(result.Passed ? "ok  " : "FAIL")} {one.Name,-26} {one.Size,-44} {result.Microseconds,9:0.00} us  {result.HostMicroseconds,7:0.00} us host  {result.GigabytesPerSecond / copy,5:P0} of copy  error {result.Worst:0.###}");
    }

    Report.Write(output, device.Describe(), copy, isQuick ? 3 : 200, results);
    return results.All(result => result.Passed) ? 0 : 1;
}
