using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Adapters;

/// <summary>A language model of a user whose output layer shares the embedding's weight, in one of the ways in which that is done in TorchSharp.</summary>
[FossilAdapt("up", "down", ShardSize = 4)]
[FossilAdapt("head", "embed", OnRequest = true)]
internal sealed partial class TiedModel : nn.Module<Tensor, Tensor>
{
    public const long Width = 8, Vocabulary = 12;

    public readonly Embedding embed;
    public readonly Linear up, down;
    public readonly nn.Module<Tensor, Tensor> head;

    public TiedModel(string tie)
        : base(nameof(TiedModel))
    {
        random.manual_seed(3);
        embed = nn.Embedding(Vocabulary, Width);
        (up, down) = (nn.Linear(Width, Width), nn.Linear(Width, Width));
        head = tie == ByTiedLinear ? new TiedLinear(embed) : nn.Linear(Width, Vocabulary, hasBias: false);
        RegisterComponents();
        Tie(tie);
    }

    /// <summary>How the weights are tied.</summary>
    public const string HeadTakesEmbeddings = "head.weight = embed.weight", EmbeddingTakesHeads = "embed.weight = head.weight", ByTiedLinear = "new TiedLinear(embed)";

    public static TheoryData<string> Ties() => [HeadTakesEmbeddings, EmbeddingTakesHeads, ByTiedLinear];

    public void Tie(string tie)
    {
        if (tie == HeadTakesEmbeddings) ((Linear)head).weight = embed.weight!;
        else if (tie == EmbeddingTakesHeads) embed.weight = ((Linear)head).weight;
    }

    /// <summary>Whether both have one memory.</summary>
    public bool IsTied => CompilerServices.NativeTensor.Data(embed.weight!) == CompilerServices.NativeTensor.Data(HeadWeight);

    public Tensor HeadWeight => head is TiedLinear tied ? tied.Weight : ((Linear)head).weight;

    public override Tensor forward(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        var hidden = embed.forward(tokens);
        hidden = hidden + down.forward(up.forward(hidden).tanh());
        return head.forward(hidden).MoveToOuterDisposeScope();
    }

    public static Tensor Tokens() => arange(0, Vocabulary, dtype: ScalarType.Int64).view(2, -1);
}
