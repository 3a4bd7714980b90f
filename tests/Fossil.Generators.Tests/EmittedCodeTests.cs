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
            ["My.Models.SelfAttention.Fossil.g.cs", "ShardKernels64.Code.g.cs", "ShardKernels64.g.cs", "Source0.Interceptors.g.cs"],
            generated.Files.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, text) in generated.Files) Snapshots.Match(text.Replace(generated.Compilation.AssemblyName!, "Consumer"), $"SelfAttention.{name}");
    }
}
