using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>An annotated class; the generator completes it and rewires its calls.</summary>
[FossilAdapt("q_proj", "v_proj", "experts", ShardSize = 4)]
internal sealed partial class TinyBlock : nn.Module<Tensor, Tensor>
{
    public readonly Linear q_proj;
    public readonly Linear v_proj;
    public readonly ModuleList<Linear> experts;
    private readonly LayerNorm norm;

    public TinyBlock(long width)
        : base(nameof(TinyBlock))
    {
        q_proj = nn.Linear(width, width);
        v_proj = nn.Linear(width, width, hasBias: false);
        experts = nn.ModuleList(nn.Linear(width, width), nn.Linear(width, width));
        norm = nn.LayerNorm(width);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var hidden = norm.forward(x);
        hidden = q_proj.forward(hidden).tanh() + v_proj.call(hidden);
        foreach (var expert in experts) hidden = hidden + expert.forward(hidden);
        return (x + hidden).MoveToOuterDisposeScope();
    }
}

/// <summary>A small language model: an embedding, two annotated blocks, an output layer that is not annotated.</summary>
internal sealed class TinyModel : nn.Module<Tensor, Tensor>
{
    public const long Width = 8;
    public const long Vocabulary = 11;

    public readonly Embedding embed;
    public readonly ModuleList<TinyBlock> layers;
    public readonly Linear lm_head;

    public TinyModel(int seed = 1)
        : base(nameof(TinyModel))
    {
        random.manual_seed(seed);
        embed = nn.Embedding(Vocabulary, Width);
        layers = nn.ModuleList(new TinyBlock(Width), new TinyBlock(Width));
        lm_head = nn.Linear(Width, Vocabulary);
        RegisterComponents();
    }

    /// <summary>Eight sequences of five tokens.</summary>
    public static Tensor Tokens(int seed = 7, int batch = 8)
    {
        random.manual_seed(seed);
        return randint(0, Vocabulary, [batch, 5]);
    }

    public override Tensor forward(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        var hidden = embed.forward(tokens);
        foreach (var layer in layers) hidden = layer.forward(hidden);
        return lm_head.forward(hidden).MoveToOuterDisposeScope();
    }

    /// <summary>Mean cross entropy of predicting the tokens themselves.</summary>
    public Tensor Loss(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        return nn.functional.cross_entropy(forward(tokens).view(-1, Vocabulary), tokens.view(-1)).MoveToOuterDisposeScope();
    }

    /// <summary>Gives the parameters of an adapter, or of all, random values, as after some training: the same ones each time, whatever other tests draw meanwhile.</summary>
    public static void Randomize(AdaptedModel adapted, string? adapter = null, double scale = 0.1)
    {
        using var noGrad = no_grad();
        using var generator = new Generator((ulong)(adapter ?? string.Empty).Sum(character => character));
        foreach (var layer in adapted.Targets.SelectMany(target => target.Layers).Where(layer => adapter is null || layer.AdapterName == adapter))
        {
            foreach (var (_, parameter) in layer.Parameters())
            {
                using var values = randn(parameter.shape, dtype: parameter.dtype, generator: generator);
                parameter.add_(values, scale);
            }
        }
    }
}
