using System.Reflection;
using static TorchSharp.torch;

namespace Fossil.Generators.Tests;

/// <summary>Rewired models run, and equal the formula y = x Wᵀ + b + S D written out, in each form of call.</summary>
public class RewiringTests
{
    private const int Width = 12;
    private const int ShardSize = 4;

    private const string Model = """
        [FossilAdapt("q_proj", "Out", "heads", "experts", "tasks", "named", ShardSize = 4)]
        public partial class Attention : Module<Tensor, Tensor>
        {
            public readonly Linear q_proj = Linear(12, 12);
            public readonly ModuleList<Linear> experts = ModuleList(Linear(12, 12), Linear(12, 12));
            public readonly ModuleDict<Linear> tasks = new();
            public readonly Dictionary<string, Linear> named = new() { ["first"] = Linear(12, 12) };
            public readonly Linear[] heads;
            private readonly Linear @out = Linear(12, 12, hasBias: false);
            public Linear Out => @out;
            private readonly Linear plain = Linear(12, 12);

            public Attention() : base("attention")
            {
                heads = [Linear(12, 12), Linear(12, 12)];
                for (var i = 0; i < heads.Length; i++) register_module($"head{i}", heads[i]);
                tasks.Add("answer", Linear(12, 12));
                register_module("first", named["first"]);
                RegisterComponents();
            }

            public override Tensor forward(Tensor x) => q_proj.forward(x);
            public Tensor Call(Tensor x) => this.q_proj.call(x);
            public Tensor Conditional(Tensor x) => q_proj?.forward(x)!;
            public Tensor Property(Tensor x) => Out.forward(x);
            public Tensor Element(Tensor x) => heads[1].forward(x);
            public Tensor ListElement(Tensor x) => experts[1].forward(x);
            public Tensor Entry(Tensor x) => tasks["answer"].forward(x);
            public Tensor NamedEntry(Tensor x) => named.TryGetValue("first", out var layer) ? layer.forward(x) : x;
            public Tensor ForEachEntry(Tensor x) { foreach (var task in tasks.Values) x = task.call(x); return x; }
            public Tensor ForEach(Tensor x) { foreach (var head in heads) x = head.forward(x); return x; }
            public Tensor ForEachList(Tensor x) { foreach (var expert in experts) x = expert.call(x); return x; }
            public Tensor Alias(Tensor x) { var p = x.numel() > 0 ? q_proj : plain; return p.forward(x); }
            public Tensor Lambda(Tensor x) { Func<Tensor, Tensor> run = y => q_proj.forward(y); return run(x); }
            public Tensor Local(Tensor x) { return Run(x); Tensor Run(Tensor y) => q_proj.forward(y); }
            public Tensor Parameter(Tensor x) => Run(q_proj, x);
            public Tensor Generic(Tensor x) => RunAny(q_proj, x);
            public Tensor Base(Tensor x) => RunBase(q_proj, x);
            public Tensor Interface(Tensor x) => RunInterface(q_proj, x);
            public Tensor Plain(Tensor x) => plain.forward(x);

            private static Tensor Run(Linear p, Tensor x) => p.forward(x);
            private static Tensor RunAny<T>(T p, Tensor x) where T : Module<Tensor, Tensor> => p.forward(x);
            private static Tensor RunBase(Module<Tensor, Tensor> p, Tensor x) => p.call(x);
            private static Tensor RunInterface(IModule<Tensor, Tensor> p, Tensor x) => p.call(x);
        }
        """;

    private static readonly Lazy<Type> AttentionType = new(() => GeneratorHarness.Run(Model).Load().GetType("Attention", throwOnError: true)!);

    /// <summary>A method and the registered names of the projections that it runs, in order.</summary>
    public static TheoryData<string, string[]> Calls() => new()
    {
        { "forward", ["q_proj"] },
        { "Call", ["q_proj"] },
        { "Conditional", ["q_proj"] },
        { "Property", ["out"] },
        { "Element", ["head1"] },
        { "ListElement", ["experts.1"] },
        { "Entry", ["tasks.answer"] },
        { "NamedEntry", ["first"] },
        { "ForEachEntry", ["tasks.answer"] },
        { "ForEach", ["head0", "head1"] },
        { "ForEachList", ["experts.0", "experts.1"] },
        { "Alias", ["q_proj"] },
        { "Lambda", ["q_proj"] },
        { "Local", ["q_proj"] },
        { "Parameter", ["q_proj"] },
        { "Generic", ["q_proj"] },
        { "Base", ["q_proj"] },
        { "Interface", ["q_proj"] },
        { "Plain", ["plain"] },
    };

    [Theory]
    [MemberData(nameof(Calls))]
    public void ARewiredCallEqualsTheFormula(string method, string[] projections)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var model = (nn.Module<Tensor, Tensor>)Activator.CreateInstance(AttentionType.Value)!;
        using var adapted = model.AttachAdapters();
        foreach (var (_, parameter) in adapted.TrainableParameters()) parameter.copy_(randn_like(parameter));

        var x = randn(5, Width);
        var actual = Invoke(model, method, x);
        var expected = projections.Aggregate(x, (y, projection) => Formula(model, projection, y));

        Assert.True(actual.allclose(expected, rtol: 1e-4, atol: 1e-4), method);
        var withoutAdapters = projections.Aggregate(x, (y, projection) => Module(model, projection).forward(y));
        using (adapted.DisableAdapters()) Assert.True(Invoke(model, method, x).allclose(withoutAdapters, rtol: 1e-4, atol: 1e-4), method);
    }

    [Fact]
    public void EachTargetIsListedOnce()
    {
        using var model = (nn.Module<Tensor, Tensor>)Activator.CreateInstance(AttentionType.Value)!;
        using var adapted = model.AttachAdapters();
        Assert.Equal(["experts.0", "experts.1", "first", "head0", "head1", "out", "q_proj", "tasks.answer"], adapted.Targets.Select(target => target.Path).Order(StringComparer.Ordinal));
    }

    /// <summary>y = x Wᵀ + b + S D, with S[j] = Σ_i x[i·r + j].</summary>
    private static Tensor Formula(nn.Module model, string projection, Tensor x)
    {
        var module = Module(model, projection);
        var output = module.forward(x);
        var shard = model.named_parameters().SingleOrDefault(parameter => parameter.name.StartsWith($"{projection}.miss_block", StringComparison.Ordinal)).parameter;
        return shard is null ? output : output + x.view(-1, Width / ShardSize, ShardSize).sum(1).matmul(shard);
    }

    private static nn.Module<Tensor, Tensor> Module(nn.Module model, string name) => (nn.Module<Tensor, Tensor>)model.named_modules().Single(module => module.name == name).module;

    private static Tensor Invoke(nn.Module model, string method, Tensor x) =>
        (Tensor)model.GetType().GetMethod(method, BindingFlags.Public | BindingFlags.Instance)!.Invoke(model, [x])!;
}
