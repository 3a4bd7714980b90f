using System.Runtime.Loader;
using static TorchSharp.torch;

namespace Fossil.Generators.Tests;

/// <summary>Annotated classes that were compiled without the generator: the run time says so, and not that nothing is annotated.</summary>
public class GeneratorMissingTests
{
    private const string Library = """
        [FossilAdapt("up", ShardSize = 4)]
        public partial class Block : Module<Tensor, Tensor>
        {
            public readonly Linear up = Linear(8, 8);
            public Block() : base("block") { RegisterComponents(); }
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        public class Derived : Block { }
        """;

    private static readonly Lazy<System.Reflection.Assembly> Compiled = new(() =>
    {
        using var stream = new MemoryStream();
        var result = GeneratorHarness.Compile(Library).WithAssemblyName("Plain").Emit(stream);
        Assert.True(result.Success, string.Join("\n", result.Diagnostics));
        stream.Position = 0;
        return new AssemblyLoadContext("plain").LoadFromStream(stream);
    });

    [Theory]
    [InlineData("Block")]
    [InlineData("Derived")]
    public void AModelOfThemAlone(string type)
    {
        using var model = Create(type);
        Check(type, Assert.Throws<NotAdaptableException>(() => model.AttachAdapters()).Message);
        Check(type, Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new LoraConfig { TargetModules = ["up"] })).Message);
    }

    [Fact]
    public void AModelInWhichOthersHaveTheirPart()
    {
        using var generated = (nn.Module<Tensor, Tensor>)Activator.CreateInstance(
            GeneratorHarness.Run("""[FossilAdapt("down", ShardSize = 4)] public partial class Own : Module<Tensor, Tensor> { Linear down = Linear(8, 8); public Own() : base("own") { RegisterComponents(); } public override Tensor forward(Tensor x) => down.forward(x); }""").Load().GetType("Own")!)!;
        using var model = nn.Sequential(("plain", Create("Block")), ("own", generated));

        // The attributes choose both; a configuration may do without.
        Check("Block", Assert.Throws<NotAdaptableException>(() => model.AttachAdapters()).Message);
        Check("Block", Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new LoraConfig { TargetModules = ["up", "down"] })).Message);
        using var adapted = model.AttachAdapters(new LoraConfig { TargetModules = ["down"] });
        Assert.Equal(["own.down"], adapted.Targets.Select(target => target.Path));
    }

    private static nn.Module<Tensor, Tensor> Create(string type) => (nn.Module<Tensor, Tensor>)Activator.CreateInstance(Compiled.Value.GetType(type)!)!;

    private static void Check(string type, string message)
    {
        Assert.Contains($"{type} is marked with [FossilAdapt]", message);
        Assert.Contains("the source generator of Fossil.Gen did not run when Plain was compiled", message);
        foreach (var reason in (string[])["ExcludeAssets", "CS9057", "notebooks"]) Assert.Contains(reason, message);
    }
}
