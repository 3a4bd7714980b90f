using System.Reflection;
using Fossil.Analyzers.Tests.Support;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Xunit.Abstractions;

namespace Fossil.Analyzers.Tests;

/// <summary>Every analyzer over models as people write them: nothing is wrong, so nothing may be reported.</summary>
public class RealModelsTests(ITestOutputHelper output)
{
    private const string Usings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Threading;
        global using System.Threading.Tasks;
        global using System.Net.Http;
        """;

    /// <summary>A transformer for text with its training loop, in the style of TorchSharp's examples.</summary>
    private const string Transformer = """
        using Fossil; using TorchSharp; using TorchSharp.Modules; using static TorchSharp.torch; using static TorchSharp.torch.nn; using static TorchSharp.torch.nn.functional;
        namespace Examples;

        public sealed class Options
        {
            public long Width { get; set; } = 256;
            public long Heads { get; set; } = 4;
            public int Layers { get; set; } = 2;
            public double Dropout { get; set; } = 0.1;
            public static Options Parse(string[] args)
            {
                var options = new Options();
                for (var i = 0; i + 1 < args.Length; i += 2)
                {
                    switch (args[i])
                    {
                        case "--width": options.Width = long.Parse(args[i + 1]); break;
                        case "--heads": options.Heads = long.Parse(args[i + 1]); break;
                        default: throw new ArgumentException(args[i]);
                    }
                }
                return options;
            }
        }

        internal sealed class PositionalEncoding : Module<Tensor, Tensor>
        {
            private readonly Module<Tensor, Tensor> dropout;
            private readonly Tensor pe;
            public PositionalEncoding(long width, double rate, int maxLength = 5000) : base(nameof(PositionalEncoding))
            {
                dropout = Dropout(rate);
                var table = zeros(maxLength, width);
                var position = arange(0, maxLength, 1).unsqueeze(1);
                var term = (arange(0, width, 2) * (-Math.Log(10000.0) / width)).exp();
                table[TensorIndex.Ellipsis, TensorIndex.Slice(0, null, 2)] = (position * term).sin();
                pe = table.unsqueeze(0).transpose(0, 1);
                RegisterComponents();
            }
            public override Tensor forward(Tensor t) => dropout.forward(t + pe[TensorIndex.Slice(null, t.shape[0])]);
        }

        [FossilAdapt("query", "key", "value", "output", ShardSize = 32)]
        internal sealed partial class Attention : Module<Tensor, Tensor>
        {
            private readonly Linear query, key, value, output;
            private readonly long heads, size;
            public Attention(long width, long heads) : base(nameof(Attention))
            {
                if (width % heads != 0) throw new ArgumentException($"{width} is no multiple of {heads}");
                (this.heads, size) = (heads, width / heads);
                query = Linear(width, heads * size, hasBias: false);
                key = Linear(width, heads * size, hasBias: false);
                value = Linear(width, heads * size, hasBias: false);
                output = Linear(heads * size, width);
                RegisterComponents();
            }
            public override Tensor forward(Tensor x)
            {
                using var scope = NewDisposeScope();
                Tensor Split(Linear layer) => layer.forward(x).view(x.shape[0], -1, heads, size).transpose(1, 2);
                var (q, k, v) = (Split(query), Split(key), Split(value));
                var y = scaled_dot_product_attention(q, k, v, is_casual: true).transpose(1, 2).reshape(x.shape[0], -1, heads * size);
                return output.forward(y).MoveToOuterDisposeScope();
            }
        }

        [FossilAdapt("up", "down", ShardSize = 64, Variant = FossilVariant.Mini, MiniSize = 16, Dropout = 0.05)]
        internal sealed partial class FeedForward(long width, int factor = 4) : Module<Tensor, Tensor>(nameof(FeedForward))
        {
            private readonly Linear up = Linear(width, factor * width), down = Linear(factor * width, width);
            public override Tensor forward(Tensor x) => down.forward(gelu(up.forward(x)));
            public FeedForward Registered() { RegisterComponents(); return this; }
        }

        internal sealed class Block : Module<Tensor, Tensor>
        {
            private readonly LayerNorm norm1, norm2;
            private readonly Attention attention;
            private readonly FeedForward feedForward;
            public Block(Options options) : base(nameof(Block))
            {
                norm1 = LayerNorm(options.Width);
                norm2 = LayerNorm(options.Width);
                attention = new Attention(options.Width, options.Heads);
                feedForward = new FeedForward(options.Width).Registered();
                RegisterComponents();
            }
            public override Tensor forward(Tensor x)
            {
                x = x + attention.forward(norm1.forward(x));
                return x + feedForward.forward(norm2.forward(x));
            }
        }

        internal sealed class Model : Module<Tensor, Tensor>
        {
            private readonly Embedding embedding;
            private readonly PositionalEncoding positions;
            private readonly ModuleList<Block> blocks;
            private readonly Linear head;
            public Model(long tokens, Options options) : base(nameof(Model))
            {
                embedding = Embedding(tokens, options.Width);
                positions = new PositionalEncoding(options.Width, options.Dropout);
                blocks = new ModuleList<Block>(Enumerable.Range(0, options.Layers).Select(_ => new Block(options)).ToArray());
                head = Linear(options.Width, tokens);
                RegisterComponents();
                init.uniform_(head.weight, -0.1, 0.1);
            }
            public override Tensor forward(Tensor t) => head.forward(blocks.Aggregate(positions.forward(embedding.forward(t)), (x, block) => block.forward(x)));
        }

        internal static class Program
        {
            private static readonly Options Small = new() { Width = 128, Heads = 2 };

            private static void Main(string[] args)
            {
                random.manual_seed(1);
                var options = args.Length > 0 ? Options.Parse(args) : Small;
                var device = cuda.is_available() ? CUDA : CPU;
                using var model = new Model(256, options).to(device);
                Pretrain(model, device);
                using var adapted = model.AttachAdapters();
                adapted.PrintTrainableParameters();
                using var optimizer = adapted.CreateOptimizer(learningRate: 1e-3);
                model.train();
                for (var epoch = 1; epoch <= 3; epoch++)
                {
                    foreach (var batch in Batches(device))
                    {
                        using var scope = NewDisposeScope();
                        optimizer.zero_grad();
                        var loss = cross_entropy(model.forward(batch).view(-1, 256), batch.view(-1));
                        loss.backward();
                        optimizer.step();
                        Console.Write($"\repoch {epoch}, loss {loss.item<float>():f3}");
                    }
                }
                model.eval();
                adapted.SavePretrained(Path.Combine("out", "adapter"));
                adapted.Merge();
                model.save("merged.dat");
            }

            private static void Pretrain(Model model, Device device)
            {
                var optimizer = optim.AdamW(model.parameters(), 1e-3);
                var scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.95);
                foreach (var batch in Batches(device).Take(2))
                {
                    optimizer.zero_grad();
                    cross_entropy(model.forward(batch).view(-1, 256), batch.view(-1)).backward();
                    nn.utils.clip_grad_norm_(model.parameters(), 0.5);
                    optimizer.step();
                }
                scheduler.step();
                model.save("base.dat");
            }

            private static IEnumerable<Tensor> Batches(Device device)
            {
                while (true) yield return randint(0, 256, new long[] { 8, 32 }, device: device);
            }
        }
        """;

    /// <summary>Networks for images: lists of layers made in loops, widths from tables.</summary>
    private const string Images = """
        using Fossil; using TorchSharp; using TorchSharp.Modules; using static TorchSharp.torch; using static TorchSharp.torch.nn;
        namespace Examples;

        [FossilAdapt("layer1", "layer2", ShardSize = 16)]
        public partial class AlexNet : Module<Tensor, Tensor>
        {
            private readonly Module<Tensor, Tensor> features, pool;
            private readonly Linear layer1, layer2, layer3;
            public AlexNet(string name, int classes, Device? device = null) : base(name)
            {
                features = Sequential(("c1", Conv2d(3, 64, kernel_size: 3, stride: 2, padding: 1)), ("r1", ReLU(inplace: true)), ("c2", Conv2d(64, 256, kernel_size: 3)));
                pool = AdaptiveAvgPool2d(new long[] { 2, 2 });
                layer1 = Linear(256 * 2 * 2, 4096);
                layer2 = Linear(4096, 4096);
                layer3 = Linear(4096, classes);
                RegisterComponents();
                if (device is not null && device.type != DeviceType.CPU) this.to(device);
            }
            public override Tensor forward(Tensor input)
            {
                var flat = pool.forward(features.forward(input)).flatten(1);
                return layer3.forward(functional.relu(layer2.forward(functional.relu(layer1.forward(flat)))));
            }
        }

        [FossilAdapt("layers", ShardSize = 8)]
        public partial class Perceptron : Module<Tensor, Tensor>
        {
            private static readonly Dictionary<string, long[]> Shapes = new() { ["small"] = [784, 128, 10], ["large"] = [784, 1000, 500, 10] };
            private readonly ModuleList<Linear> layers = new();
            public Perceptron(string shape) : this(Shapes[shape]) { }
            public Perceptron(params long[] sizes) : base(nameof(Perceptron))
            {
                for (var i = 0; i + 1 < sizes.Length; i++) layers.Add(Linear(sizes[i], sizes[i + 1]));
                RegisterComponents();
            }
            public override Tensor forward(Tensor x)
            {
                foreach (var (layer, index) in layers.Select((layer, index) => (layer, index)))
                {
                    x = layer.forward(x);
                    if (index < layers.Count - 1) x = functional.relu(x);
                }
                return x;
            }
            public static Perceptron Mnist() => new(784, 128, 64, 10);
            public static Perceptron Guess(int width) => width > 1 ? new Perceptron(width, 64, 10) : new Perceptron("small");
        }

        [FossilAdapt("proj")]
        public abstract partial class Stage<T>(string name, int width) : Module<Tensor, Tensor>(name) where T : Module<Tensor, Tensor>
        {
            protected readonly Linear proj = Linear(width, width);
            protected abstract T Inner { get; }
            public override Tensor forward(Tensor x) => Inner.forward(proj.forward(x));
        }

        public sealed class LastStage : Stage<Linear>
        {
            private readonly Linear head;
            public LastStage(int width = 512) : base(nameof(LastStage), width) { head = Linear(width, 10); RegisterComponents(); }
            protected override Linear Inner => head;
        }

        public static class Zoo
        {
            public static Module<Tensor, Tensor> Load(string name) => name switch
            {
                "alexnet" => new AlexNet(name, 10),
                "mlp" => Perceptron.Mnist(),
                "last" => new LastStage(),
                "wide" => new LastStage(1 << 10),
                _ => throw new KeyNotFoundException(name),
            };
        }
        """;

    [Fact]
    public Task A_transformer_and_its_training_loop() => ReportsNothing([Transformer]);

    [Fact]
    public Task Networks_for_images() => ReportsNothing([Images]);

    /// <summary>The decoders of this repository, from their sources.</summary>
    [Fact]
    public Task The_models_of_this_repository()
    {
        var root = typeof(RealModelsTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(one => one.Key == "RepositoryRoot").Value!;
        var folder = Path.Combine(root, "src", "Fossil.Models");
        var sources = Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(path => Path.GetRelativePath(folder, path).Split(Path.DirectorySeparatorChar)[0] is not ("bin" or "obj")).Select(File.ReadAllText);
        return ReportsNothing([.. sources], mustCompile: false);
    }

    private async Task ReportsNothing(string[] sources, bool mustCompile = true)
    {
        var options = new CSharpParseOptions(LanguageVersion.CSharp14).WithFeatures([KeyValuePair.Create("InterceptorsNamespaces", "Fossil.Generated")]);
        var trees = sources.Append(Usings).Select((source, index) => CSharpSyntaxTree.ParseText(source, options, $"File{index}.cs"));
        var compilation = CSharpCompilation.Create(
            "Real", trees, References.All, new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable));
        // Packages that a library references besides are not here; what does not bind is unknown to the analyzers.
        if (mustCompile) Assert.Empty(compilation.GetDiagnostics().Where(one => one.Severity == DiagnosticSeverity.Error));

        var reports = await compilation.WithAnalyzers(RuleDocumentationTests.Analyzers, new AnalyzerOptions([])).GetAnalyzerDiagnosticsAsync();
        output.WriteLine($"{compilation.SyntaxTrees.Sum(tree => tree.GetText().Lines.Count)} lines, {reports.Length} notes");
        Assert.Empty(reports.Where(report => report.Severity != DiagnosticSeverity.Hidden));
    }
}
