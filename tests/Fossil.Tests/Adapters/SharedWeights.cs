using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>A layer of the user's own, whose field nobody else can set.</summary>
internal sealed class CustomLayer : nn.Module<Tensor, Tensor>
{
    public readonly Parameter weight;

    public CustomLayer(Parameter weight)
        : base(nameof(CustomLayer))
    {
        this.weight = weight;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => nn.functional.linear(x, weight);
}

/// <summary>Such a layer as a target, which shares its weight.</summary>
[FossilAdapt("custom", "plain", ShardSize = 4)]
internal sealed partial class SharedCustomLayer : nn.Module<Tensor, Tensor>
{
    public readonly CustomLayer custom;
    public readonly Linear plain;

    public SharedCustomLayer()
        : base(nameof(SharedCustomLayer))
    {
        random.manual_seed(6);
        plain = nn.Linear(8, 8);
        custom = new CustomLayer(plain.weight);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => custom.forward(plain.forward(x));
}

/// <summary>A layer by the name that PEFT knows an output layer by.</summary>
[FossilAdapt("lm_head", ShardSize = 4)]
internal sealed partial class NamedHead : nn.Module<Tensor, Tensor>
{
    public readonly Linear lm_head;

    public NamedHead()
        : base(nameof(NamedHead))
    {
        random.manual_seed(7);
        lm_head = nn.Linear(8, 8);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => lm_head.forward(x);
}

/// <summary>Two targets that share weight and bias, one Parameter in both.</summary>
[FossilAdapt("first", "second", ShardSize = 4)]
internal sealed partial class SharedTargets : nn.Module<Tensor, Tensor>
{
    public readonly Linear first, second;

    public SharedTargets()
        : base(nameof(SharedTargets))
    {
        random.manual_seed(4);
        (first, second) = (nn.Linear(8, 8), nn.Linear(8, 8));
        (second.weight, second.bias) = (first.weight, first.bias);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => second.forward(first.forward(x).tanh());
}

/// <summary>Targets whose weights are parts of one matrix.</summary>
[FossilAdapt("query", "key", ShardSize = 4)]
internal sealed partial class FusedTargets : nn.Module<Tensor, Tensor>
{
    public readonly Parameter fused;
    public readonly Linear query, key;

    public FusedTargets()
        : base(nameof(FusedTargets))
    {
        random.manual_seed(5);
        fused = new Parameter(randn(16, 8));
        query = nn.Linear(8, 8, hasBias: false);
        key = nn.Linear(8, 8, hasBias: false);
        (query.weight, key.weight) = (new Parameter(fused.detach().narrow(0, 0, 8)), new Parameter(fused.detach().narrow(0, 8, 8)));
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => query.forward(x) + key.forward(x) + nn.functional.linear(x, fused).sum(-1, keepdim: true);
}
