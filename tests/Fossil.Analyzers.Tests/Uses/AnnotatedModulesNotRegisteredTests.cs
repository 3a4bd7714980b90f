using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Uses;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Uses;

public class AnnotatedModulesNotRegisteredTests
{
    private const string Part = """
        [FossilAdapt("up")]
        public partial class Part : Module<Tensor, Tensor>
        {
            private readonly Linear up = Linear(64, 64);
            public Part() : base("Part") => RegisterComponents();
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        public sealed class Holder : Module<Tensor, Tensor>
        {
            private readonly Part part = new();
            public Holder() : base("Holder") => RegisterComponents();
            public override Tensor forward(Tensor x) => part.forward(x);
        }

        """;

    private static string Block(string members, string body = "") => Part + $$"""
        public partial class Block : Module<Tensor, Tensor>
        {
            {{members}}
            public Block() : base("Block")
            {
                {{body}}
            }
            public override Tensor forward(Tensor x) => x;
        }
        """;

    [Theory]
    [InlineData("private readonly Part part = new();", "RegisterComponents();")]
    [InlineData("private readonly Part part = new();", "register_module(\"part\", part);")]
    [InlineData("private readonly ModuleList<Part> parts = new(new Part());", "RegisterComponents();")]
    [InlineData("private readonly Sequential parts = Sequential(new Part(), new Holder());", "RegisterComponents();")]
    [InlineData("private readonly Part[] parts = [new()]; private readonly ModuleList<Part> list;", "list = new(parts); RegisterComponents();")]
    [InlineData("private readonly List<Part> parts = [];", "parts.Add(new()); foreach (var part in parts) register_module(\"x\", part); RegisterComponents();")]
    [InlineData("private readonly Linear[] others = [Linear(1, 1)]; private readonly Func<Part>? maker = null;")]
    [InlineData("private static readonly Part[] Shared = [new()];")]
    [InlineData("private Part? part = null; public int Count => 1;")]
    public Task What_is_registered_is_not_reported(string members, string body = "") => Verify.Reports<AnnotatedModulesNotRegistered>(Block(members, body));

    [Theory]
    [InlineData("private readonly Part {|FOSSIL039:part|} = new();")]
    [InlineData("private readonly Holder {|FOSSIL039:part|} = new();")]
    [InlineData("private readonly Module<Tensor, Tensor> {|FOSSIL039:part|} = new Part();")]
    [InlineData("public Part {|FOSSIL039:Inner|} { get; } = new();")]
    [InlineData("private readonly ModuleList<Part> {|FOSSIL039:parts|} = new(new Part());")]
    [InlineData("private readonly Sequential {|FOSSIL039:parts|} = Sequential(new Holder());")]
    [InlineData("private readonly Part[] {|FOSSIL039:parts|} = [new()];", "RegisterComponents();")]
    [InlineData("private readonly List<Module<Tensor, Tensor>> {|FOSSIL039:parts|} = [new Part()];", "RegisterComponents();")]
    [InlineData("private readonly Dictionary<string, Holder> {|FOSSIL039:parts|} = new() { [\"a\"] = new() };", "RegisterComponents();")]
    [InlineData("private readonly (string, Part) {|FOSSIL039:pair|} = (\"a\", new());", "RegisterComponents();")]
    [InlineData("private readonly Part part;", "RegisterComponents(); {|FOSSIL039:part|} = new();")]
    [InlineData("private readonly Part part; private readonly Linear other = Linear(1, 1);", "{|FOSSIL039:part|} = new(); register_module(\"other\", other);")]
    public Task What_is_held_alone_is_reported(string members, string body = "") => Verify.Reports<AnnotatedModulesNotRegistered>(Block(members, body));

    [Fact]
    public Task A_parent_registers_the_components_of_its_fields() => Verify.Reports<AnnotatedModulesNotRegistered>(Block("private readonly Part part = new();") + """
        public sealed class Model : Module<Tensor, Tensor>
        {
            private readonly Block block = new();
            public Model() : base("Model") => RegisterComponents();
            public override Tensor forward(Tensor x) => block.forward(x);
        }
        """);

    [Fact]
    public Task A_Sequential_does_not_register_those_of_its_elements() => Verify.Reports<AnnotatedModulesNotRegistered>(Block("private readonly Part {|FOSSIL039:part|} = new();") + """
        public sealed class Model : Module<Tensor, Tensor>
        {
            private readonly Sequential blocks;
            public Model() : base("Model")
            {
                var layers = new List<(string, Module<Tensor, Tensor>)>();
                for (var i = 0; i < 30; i++) layers.Add(($"{i}", new Block()));
                blocks = Sequential(layers);
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => blocks.forward(x);
        }
        """);

    [Fact]
    public Task The_call_is_added_at_the_end() => Verify.Fixes<AnnotatedModulesNotRegistered, RegisterComponentsFix>(
        Block("private readonly Part part, more;", "{|FOSSIL039:part|} = new();\n        {|FOSSIL039:more|} = new();"),
        Block("private readonly Part part, more;", "part = new();\n        more = new();\n        RegisterComponents();"));
}
