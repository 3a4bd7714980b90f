using Fossil.Analyzers.Tests.Support;
using Fossil.Analyzers.Uses;
using Fossil.CodeFixes;

namespace Fossil.Analyzers.Tests.Uses;

public class TargetNotRegisteredTests
{
    private static string Layer(string members, string body) => $$"""
        [FossilAdapt("up")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            {{members}}
            public Layer() : base("Layer")
            {
                {{body}}
            }
            public override Tensor forward(Tensor x) => x;
        }
        """;

    [Theory]
    [InlineData("private readonly Linear up;", "up = Linear(64, 64); RegisterComponents();")]
    [InlineData("private readonly Linear up;", "up = Linear(64, 64); register_module(\"up\", up);")]
    [InlineData("private readonly Linear up;", "var layer = Linear(64, 64); register_module(\"proj\", layer); up = layer;")]
    [InlineData("private readonly Linear up = Linear(64, 64);", "RegisterComponents();")]
    [InlineData("private readonly Linear up; private void Init() => RegisterComponents();", "up = Linear(64, 64); Init();")]
    [InlineData("private readonly Linear[] up = new Linear[2];", "for (var i = 0; i < 2; i++) { up[i] = Linear(64, 64); register_module($\"up{i}\", up[i]); }")]
    [InlineData("private readonly Linear[] up; private readonly ModuleList<Linear> list;", "up = [Linear(64, 64)]; list = new ModuleList<Linear>(up); RegisterComponents();")]
    [InlineData("private readonly ModuleList<Linear> up = new();", "RegisterComponents();")]
    [InlineData("private readonly Linear? up = null;", "")]
    public Task Registered_targets_are_not_reported(string members, string body) => Verify.Reports<TargetNotRegistered>(Layer(members, body));

    [Theory]
    [InlineData("private readonly Linear up;", "{|FOSSIL006:up|} = Linear(64, 64);")]
    [InlineData("private readonly Linear {|FOSSIL006:up|} = Linear(64, 64);", "")]
    [InlineData("private Linear {|FOSSIL006:up|} { get; } = Linear(64, 64);", "")]
    [InlineData("private readonly Linear up; private readonly Linear other = Linear(1, 1);", "this.{|FOSSIL006:up|} = Linear(64, 64); register_module(\"other\", other);")]
    [InlineData("private readonly Linear up;", "RegisterComponents(); {|FOSSIL006:up|} = Linear(64, 64);")]
    [InlineData("private readonly Linear[] {|FOSSIL006:up|} = [Linear(64, 64)];", "RegisterComponents();")]
    public Task Targets_outside_the_model_are_reported(string members, string body) => Verify.Reports<TargetNotRegistered>(Layer(members, body.Replace("this.{|FOSSIL006:up|}", "{|FOSSIL006:this.up|}", StringComparison.Ordinal)));

    [Fact]
    public Task A_base_constructor_registers_too_early() => Verify.Reports<TargetNotRegistered>("""
        public abstract class Base : Module<Tensor, Tensor>
        {
            protected Base(string name) : base(name) { RegisterComponents(); }
        }

        [FossilAdapt("up", "early", "late")]
        public partial class Layer : Base
        {
            private readonly Linear up, early = Linear(64, 64), late;
            public Layer() : base("Layer")
            {
                {|FOSSIL006:up|} = Linear(64, 64);
                late = Linear(64, 64);
                register_module("late", late);
                RegisterComponents();
            }
            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """);

    [Fact]
    public Task A_derived_class_may_register() => Verify.Reports<TargetNotRegistered>("""
        [FossilAdapt("up")]
        public abstract partial class Base : Module<Tensor, Tensor>
        {
            protected readonly Linear up;
            protected Base(string name) : base(name) => up = Linear(64, 64);
            public override Tensor forward(Tensor x) => up.forward(x);
        }

        public class Layer : Base
        {
            public Layer() : base("Layer") => RegisterComponents();
        }
        """);

    /// <summary>TorchSharp registers the components of a module when its parent registers the module.</summary>
    [Theory]
    [InlineData("class Model : Module<Tensor, Tensor> { readonly Layer layer; public Model() : base(\"Model\") { layer = new(); RegisterComponents(); } public override Tensor forward(Tensor x) => layer.forward(x); }")]
    [InlineData("class Model : Module<Tensor, Tensor> { readonly Module<Tensor, Tensor> layer = Layers.Make(); public Model() : base(\"Model\") => RegisterComponents(); public override Tensor forward(Tensor x) => layer.forward(x); } static class Layers { public static Module<Tensor, Tensor> Make() => new Layer(); }")]
    [InlineData("static class Program { static void Main2() { var layers = new List<(string, Module<Tensor, Tensor>)>(); layers.Add((\"layer\", new Layer())); } }")]
    [InlineData("static class Program { static void Main2() { var layer = new Layer(); layer.forward(zeros(1)); } }", false)]
    public Task A_parent_registers_the_components_of_a_module(string elsewhere, bool isInParent = true) => Verify.Reports<TargetNotRegistered>(
        Layer("private readonly Linear up;", isInParent ? "up = Linear(64, 64);" : "{|FOSSIL006:up|} = Linear(64, 64);") + elsewhere);

    /// <summary>A <c>Sequential</c> registers its elements, and not their components.</summary>
    [Theory]
    [InlineData("static Sequential Make() => Sequential((\"layer\", new Layer()));")]
    [InlineData("static Sequential Make() => Sequential(new Layer(), ReLU());")]
    [InlineData("static Sequential Make() { var layer = new Layer(); layer.eval(); return Sequential(layer); }")]
    [InlineData("static Sequential Make() { var layers = new List<Module<Tensor, Tensor>>(); for (var i = 0; i < 3; i++) layers.Add(new Layer()); return Sequential(layers.ToArray()); }")]
    [InlineData("static Sequential Make() => Sequential(Enumerable.Range(0, 3).Select(i => ($\"{i}\", (Module<Tensor, Tensor>)new Layer())).ToArray());")]
    [InlineData("static Sequential Make() { var all = Sequential(); all.append(new Layer()); all.append(\"x\", new Layer()); return all; }")]
    [InlineData("static Sequential Make() => Sequential(One()); static Module<Tensor, Tensor> One() => new Layer();")]
    [InlineData("static Sequential Make() => All(new Layer()); static Sequential All(Module<Tensor, Tensor> first) => Sequential(first);")]
    [InlineData("static Sequential Make() { Module<Tensor, Tensor>[] layers = [new Layer(), new Layer()]; return Sequential(layers); }")]
    [InlineData("static Sequential Make(bool with) => Sequential(with ? new Layer() : ReLU());")]
    [InlineData("sealed class Stack() : Sequential((\"layer\", new Layer()));")]
    [InlineData("static ModuleList<Layer> Make() { var layer = new Layer(); Sequential(layer); return new(layer); }", false)]
    [InlineData("static Sequential Make() { var layers = new List<Layer> { new() }; new ModuleList<Layer>(layers.ToArray()); return Sequential(layers); }", false)]
    public Task The_elements_of_a_Sequential_register_themselves(string member, bool isOnlyInSequential = true) => Verify.Reports<TargetNotRegistered>(
        Layer("private readonly Linear up;", isOnlyInSequential ? "{|FOSSIL006:up|} = Linear(64, 64);" : "up = Linear(64, 64);") + $"static class Program {{ {member} }}");

    [Fact]
    public Task The_call_is_added_at_the_end() => Verify.Fixes<TargetNotRegistered, RegisterComponentsFix>(
        """
        [FossilAdapt("up")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up;

            public Layer() : base("Layer")
            {
                // The only layer.
                {|FOSSIL006:up|} = Linear(64, 64); // kept
            }

            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """,
        """
        [FossilAdapt("up")]
        public partial class Layer : Module<Tensor, Tensor>
        {
            private readonly Linear up;

            public Layer() : base("Layer")
            {
                // The only layer.
                up = Linear(64, 64); // kept
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => up.forward(x);
        }
        """);
}
