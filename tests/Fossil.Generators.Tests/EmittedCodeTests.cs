namespace Fossil.Generators.Tests;

/// <summary>What is emitted compiles without a warning against the real references.</summary>
public class EmittedCodeTests
{
    internal const string Attention = """
        namespace My.Models;

        [FossilAdapt("q_proj", "v_proj", ShardSize = 64)]
        public sealed partial class SelfAttention : Module<Tensor, Tensor>
        {
            private readonly Linear q_proj, v_proj;

            public SelfAttention(int width) : base("attention")
            {
                q_proj = Linear(width, width, hasBias: false);
                v_proj = Linear(width, width, hasBias: false);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x)
            {
                return q_proj.forward(x) + v_proj.call(x);
            }
        }
        """;

    [Fact]
    public void AnAnnotatedClassGetsItsPartKernelsAndInterceptors()
    {
        var generated = GeneratorHarness.Run(Attention);

        Assert.Empty(generated.Problems);
        Assert.Equal(
            ["My.Models.SelfAttention.Fossil.g.cs", "ShardKernels64.g.cs", "Source0.Interceptors.g.cs"],
            generated.Files.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, text) in generated.Files) Snapshots.Match(text.Replace(generated.Compilation.AssemblyName!, "Consumer"), $"SelfAttention.{name}");
    }

    [Fact]
    public void AHierarchyOfNestedGenericClasses()
    {
        var generated = GeneratorHarness.Run("""
            namespace My.Models;

            public static partial class Blocks<T>
            {
                [FossilAdapt("up", "down", ShardSize = 3, Dropout = 0.05)]
                [FossilAdapt("experts", ShardSize = 8, Variant = FossilVariant.Bat)]
                public abstract partial class FeedForward<TGate> : Module<Tensor, Tensor> where TGate : Module<Tensor, Tensor>, new()
                {
                    protected readonly Linear up = Linear(12, 24), down = Linear(24, 12);
                    protected readonly ModuleList<Linear> experts = ModuleList<Linear>();
                    protected readonly TGate gate = new();
                    protected FeedForward() : base("block") { RegisterComponents(); }
                    public override Tensor forward(Tensor x)
                    {
                        var p = x.shape[0] > 1 ? up : experts[0];
                        return down.forward(p.forward(x)) * gate.call(x);
                    }
                }

                [FossilAdapt(nameof(gate), ShardSize = 3, Variant = FossilVariant.Mini, MiniSize = 4, AllowPadding = true)]
                public sealed partial class Gated<TGate> : FeedForward<TGate> where TGate : Module<Tensor, Tensor>, new()
                {
                    public Tensor? Maybe(TGate? other, Tensor x) => other?.forward(x);
                }
            }
            """);

        Assert.Empty(generated.Problems);
        foreach (var (name, text) in generated.Files.Where(file => !file.Key.Contains("Kernels", StringComparison.Ordinal))) Snapshots.Match(text, $"Hierarchy.{name.Replace('`', '_')}");
    }

    [Fact]
    public void TargetsOnRequest()
    {
        var generated = GeneratorHarness.Run("""
            [FossilAdapt("up")]
            [FossilAdapt("embed", OnRequest = true)]
            partial class M() : Module("m")
            {
                readonly Linear up = Linear(64, 64);
                readonly Embedding embed = Embedding(10, 64);
                Tensor Run(Tensor ids) => up.forward(embed.forward(ids));
            }
            """);

        Assert.Empty(generated.Problems);
        var part = Assert.Single(generated.Files, file => file.Value.Contains("CollectAdapterTargets", StringComparison.Ordinal)).Value;
        Assert.Single(part.Split('\n'), line => line.Contains("OnRequest = true", StringComparison.Ordinal));
        Assert.Contains(generated.Files.Values, text => text.Contains("global::TorchSharp.Modules.Embedding", StringComparison.Ordinal));
    }

    /// <summary>A chunk that is narrower than a vector; one that no vector divides, with more vectors than registers.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(300)]
    public void KernelsOf(int shardSize)
    {
        var generated = GeneratorHarness.Run($$"""[FossilAdapt("p", ShardSize = {{shardSize}})] partial class M() : Module("m") { Linear p = Linear(600, 8); }""");

        Assert.Empty(generated.Problems);
        Snapshots.Match(generated.Files[$"ShardKernels{shardSize}.g.cs"], $"Kernels.{shardSize}");
    }
}
