using System.Collections.Immutable;
using Fossil.TestData;
using TorchSharp.Modules;
using static TorchSharp.torch;

// The rule that reports these classes while they are written.
#pragma warning disable FOSSIL039

namespace Fossil.Tests.Targets;

/// <summary>Annotated modules that the objects of a model hold, and of which TorchSharp does not know: each is named when adapters are attached.</summary>
public class UnregisteredModulesTests
{
    private const string NotRegistered = "Call RegisterComponents() at the end of";
    private const string Collection = "use a ModuleList or ModuleDict";

    /// <summary>What a model holds beside its own registered target: the path at which it is reported, how many more, and the advice.</summary>
    private static readonly Dictionary<string, (Func<object> Made, string Owner, string Path, string More, string Advice)> Held = new()
    {
        ["an array"] = (() => new[] { new Part(), new Part() }, "Holder.held", "held.0", " and 1 more", Collection),
        ["a list"] = (() => new List<Part> { new(), new(), new() }, "Holder.held", "held.0", " and 2 more", Collection),
        ["a dictionary"] = (() => new Dictionary<string, Part> { ["a"] = new() }, "Holder.held", "held.a", "", Collection),
        ["a list of tuples"] = (() => new List<(string, Part)> { ("a", new()) }, "Holder.held", "held.0.Item2", "", Collection),
        ["an immutable array"] = (() => ImmutableArray.Create(new Part()), "Holder.held", "held.0", "", Collection),
        ["a set"] = (() => new HashSet<nn.Module> { new Part() }, "Holder.held", "held.0", "", Collection),
        ["arrays of arrays"] = (() => new[] { new[] { new Part() }, [new Part()] }, "Holder.held", "held.0.0", " and 1 more", Collection),
        ["a record"] = (() => new Pair(new Part(), "name"), "Holder.held", "held.First", "", Collection),
        ["a Sequential of blocks that register nothing"] = (() => nn.Sequential(new Silent(), new Silent()), "Silent.part", "held.0.part", " and 1 more", NotRegistered + " Silent's"),
        ["a Sequential in a list"] = (() => new ModuleList<nn.Module>(nn.Sequential(("x", new Silent()))), "Silent.part", "held.0.x.part", "", NotRegistered + " Silent's"),
        ["a Sequential of lists"] = (() => nn.Sequential(new SilentList()), "SilentList.parts", "held.0.parts.0", " and 2 more", NotRegistered + " SilentList's"),
        ["a Sequential of blocks that register too early"] = (() => nn.Sequential(new Early()), "Early.part", "held.0.part", "", "Assign it before"),
        ["a list that grew"] = (() => new Growing(), "Growing.parts", "held.parts.0", "", "Add the elements before"),
        ["a dictionary that grew"] = (() => new GrowingDictionary(), "GrowingDictionary.parts", "held.parts.a", "", "Add the elements before"),
        ["a list of lists"] = (() => new List<SilentList> { new() }, "Holder.held", "held.0.parts.0", " and 2 more", Collection),
    };

    public static TheoryData<string> Names => [.. Held.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Is_named_with_what_to_do(string name)
    {
        var (made, owner, path, more, advice) = Held[name];
        using var model = new Holder(made());
        var warnings = CollectedWarnings.During(() =>
        {
            using var adapted = model.AttachAdapters();
            Assert.Contains("own", adapted.Targets.Select(target => target.Path));
        });
        var warning = Assert.Single(warnings, one => one.Contains("annotated modules", StringComparison.Ordinal));
        Assert.StartsWith($"{owner} holds annotated modules (", warning, StringComparison.Ordinal);
        Assert.Contains($"at '{path}'{more}, so", warning, StringComparison.Ordinal);
        Assert.Contains(advice, warning, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_registered_in_any_way_is_not_named()
    {
        foreach (var held in new object[] { new Part(), new ModuleList<Part>(new Part(), new Part()), nn.ModuleDict(("a", new Part())), nn.Sequential(new Part()), new ModuleList<Silent>(new Silent()), new Silent(), new SilentList() })
        {
            using var model = new Holder(held);
            var warnings = CollectedWarnings.During(() => model.AttachAdapters().Dispose());
            Assert.DoesNotContain(warnings, warning => warning.Contains("registered", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void It_is_named_only_where_the_configuration_would_choose_it()
    {
        using var model = new Holder(new[] { new Part() });
        Assert.Empty(Warnings(["own"]));
        Assert.Single(Warnings(["own", "up"]));
        Assert.Single(Warnings(ModuleSelector.AllLinear));

        IEnumerable<string> Warnings(ModuleSelector chosen) =>
            CollectedWarnings.During(() => model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = chosen }).Dispose()).Where(warning => warning.StartsWith("Holder.held", StringComparison.Ordinal));
    }

    [Fact]
    public void It_is_an_error_where_nothing_else_is_chosen()
    {
        using var model = new Holder(new[] { new Part() });
        var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters(new FossilConfig { ShardSize = 4, TargetModules = ["up"] }));
        Assert.Contains("Holder.held holds annotated modules (Part)", error.Message);
    }

    [Fact]
    public void A_root_that_registers_nothing_says_so()
    {
        using var model = new SilentList();
        var error = Assert.Throws<NotAdaptableException>(() => model.AttachAdapters());
        Assert.Contains("SilentList.parts holds annotated modules (Part) that are not registered, at 'parts.0' and 2 more", error.Message);
        Assert.Contains("Call RegisterComponents() at the end of SilentList's constructor", error.Message);
        Assert.DoesNotContain("No module", error.Message);
    }

    [Fact]
    public void Objects_that_refer_to_each_other_end()
    {
        var first = new Link();
        first.Next = new Link { Next = first, Part = new Part() };
        for (var (last, i) = (first.Next, 0); i < 20_000; i++) last.Others = [last = new Link()];
        using var model = new Holder(first);
        Assert.Single(CollectedWarnings.During(() => model.AttachAdapters().Dispose()), warning => warning.Contains("at 'held.Next.Part'", StringComparison.Ordinal));
    }

    private sealed record Pair(Part First, string Name);

    private sealed class Link
    {
        public Link? Next { get; set; }

        public Part? Part { get; set; }

        public Link[]? Others { get; set; }
    }
}

[FossilAdapt("up", ShardSize = 4)]
internal sealed partial class Part : nn.Module<Tensor, Tensor>
{
    private readonly Linear up = nn.Linear(8, 8);

    public Part()
        : base(nameof(Part)) => RegisterComponents();

    public override Tensor forward(Tensor x) => up.forward(x);
}

[FossilAdapt("own", ShardSize = 4)]
internal sealed partial class Holder : nn.Module<Tensor, Tensor>
{
    private readonly Linear own = nn.Linear(8, 8);
    private readonly object held;

    public Holder(object held)
        : base(nameof(Holder))
    {
        this.held = held;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => held is nn.Module<Tensor, Tensor> module ? module.forward(own.forward(x)) : own.forward(x);
}

/// <summary>Leaves the registering to whoever registers it, which a <c>Sequential</c> does not do.</summary>
internal sealed class Silent : nn.Module<Tensor, Tensor>
{
    private readonly Part part = new();

    public Silent()
        : base(nameof(Silent))
    {
    }

    public override Tensor forward(Tensor x) => part.forward(x);
}

internal sealed class SilentList : nn.Module<Tensor, Tensor>
{
    private readonly ModuleList<Part> parts = new(new Part(), new Part(), new Part());

    public SilentList()
        : base(nameof(SilentList))
    {
    }

    public override Tensor forward(Tensor x) => parts.Aggregate(x, (y, part) => part.forward(y));
}

internal sealed class Early : nn.Module<Tensor, Tensor>
{
    private readonly Linear first = nn.Linear(8, 8);
    private readonly Part part;

    public Early()
        : base(nameof(Early))
    {
        RegisterComponents();
        part = new Part();
    }

    public override Tensor forward(Tensor x) => part.forward(first.forward(x));
}

internal sealed class Growing : nn.Module<Tensor, Tensor>
{
    private readonly ModuleList<Part> parts = new();

    public Growing()
        : base(nameof(Growing))
    {
        RegisterComponents();
        parts.Add(new Part());
    }

    public override Tensor forward(Tensor x) => parts[0].forward(x);
}

internal sealed class GrowingDictionary : nn.Module<Tensor, Tensor>
{
    private readonly ModuleDict<nn.Module<Tensor, Tensor>> parts = new();

    public GrowingDictionary()
        : base(nameof(GrowingDictionary))
    {
        RegisterComponents();
        parts.Add("a", new Part());
    }

    public override Tensor forward(Tensor x) => parts["a"].forward(x);
}
