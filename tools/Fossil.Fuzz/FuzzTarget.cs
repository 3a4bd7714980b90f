using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Fuzz;

/// <summary>A reader, and what must hold for whatever it is given.</summary>
internal abstract class FuzzTarget
{
    /// <summary>The targets, by the names of the command line.</summary>
    public static IReadOnlyDictionary<string, FuzzTarget> All { get; } = new Dictionary<string, FuzzTarget>
    {
        ["safetensors"] = new SafetensorsTarget(),
        ["adapter_config"] = new AdapterConfigTarget(),
        ["gguf"] = new GgufTarget(),
        ["tokenizer"] = new TokenizerTarget(),
        ["config"] = new ModelConfigTarget(),
        ["jsonl"] = new JsonlTarget(),
    };

    /// <summary>Names of the files that are taken as seeds where there are golden data.</summary>
    public abstract string Pattern { get; }

    /// <summary>Seeds that need no data.</summary>
    public abstract IReadOnlyList<byte[]> BuiltIn { get; }

    /// <summary>Reads the file. Any exception but a <see cref="FossilException"/> is a defect.</summary>
    public abstract void Read(string path);

    private sealed class SafetensorsTarget : FuzzTarget
    {
        public override string Pattern => AdapterFile.FileName;

        public override IReadOnlyList<byte[]> BuiltIn { get; } = [Write([]), Write([ScalarType.Float32]), Write([ScalarType.BFloat16, ScalarType.Int64, ScalarType.Bool, ScalarType.Float32])];

        public override void Read(string path)
        {
            using var scope = NewDisposeScope();
            using var file = SafetensorsFile.Open(path);
            var claimed = file.Names.Sum(name => file.GetInfo(name).ByteCount);
            if (claimed > new FileInfo(path).Length) throw new InvalidOperationException($"The header of {path} claims {claimed} bytes of data, more than the file has.");
            foreach (var name in file.Names)
            {
                try
                {
                    using var tensor = file.Load(name);
                    using var converted = file.Load(name, ScalarType.Float32);
                }
                catch (SafetensorsException exception) when (exception.Error == SafetensorsError.UnsupportedDtype)
                {
                    // The one thing that may be found out only now.
                    continue;
                }
            }

            using var adapter = AdapterFile.Open(path);
        }

        private static byte[] Write(ScalarType[] dtypes)
        {
            using var scope = NewDisposeScope();
            var stream = new MemoryStream();
            SafetensorsWriter.Write(stream, dtypes.Select((dtype, index) => ($"layers.{index}.miss_block", ones(index + 1, 2, dtype: dtype))), [new("format", "pt")]);
            return stream.ToArray();
        }
    }

    private sealed class AdapterConfigTarget : FuzzTarget
    {
        private static readonly SelectableModule[] Modules = [new("model.layers.0.self_attn.q_proj", true, false, true), new("lm_head", true, true, false)];

        public override string Pattern => AdapterConfig.FileName;

        public override IReadOnlyList<byte[]> BuiltIn { get; } =
        [
            Text(new FossilConfig { TargetModules = ["q_proj"], LayersToTransform = [0], LayersPattern = ["layers"] }),
            Text(new LoraConfig { TargetModules = @".*\.(q|v)_proj", RankPattern = new Dictionary<string, int> { ["q_proj"] = 4 }, InitLoraWeights = LoraInitialization.Pissa }),
        ];

        public override void Read(string path)
        {
            var config = AdapterConfig.Load(path);
            var text = config.ToJson();
            if (AdapterConfig.Parse(text).ToJson() != text) throw new InvalidOperationException($"The configuration of {path} is another one after reading and writing.");
            TargetSelector.Select(config, Modules);
        }

        private static byte[] Text(AdapterConfig config) => System.Text.Encoding.UTF8.GetBytes(config.ToJson());
    }
}
