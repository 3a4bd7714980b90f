using Fossil.Training;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Distributed.Tests;

/// <summary>Predicts a token from the one before it. Some layers are used twice, one only by some rows, and one is trained whole with its bias.</summary>
[FossilAdapt("up", "mid", "down", "head", ShardSize = 8)]
internal sealed partial class TinyModel : nn.Module<Tensor, Tensor>
{
    public const int Vocabulary = 32;
    private readonly Embedding embedding = nn.Embedding(Vocabulary, 24);
    private readonly Linear up = nn.Linear(24, 40);
    private readonly Linear mid = nn.Linear(40, 40);
    private readonly Linear down = nn.Linear(40, 24);
    private readonly LayerNorm norm = nn.LayerNorm(24);
    private readonly Linear head = nn.Linear(24, Vocabulary);

    public TinyModel(int seed = 1)
        : base(nameof(TinyModel))
    {
        RegisterComponents();
        using var withoutGradient = no_grad();
        manual_seed(seed);
        foreach (var parameter in parameters()) nn.init.normal_(parameter, 0, 0.2);
    }

    /// <summary>Attaches an adapter, and brings everything to a dtype.</summary>
    public AdaptedModel Attach(AdapterConfig? config = null, ScalarType dtype = ScalarType.Float32)
    {
        var adapted = config is null ? this.AttachAdapters() : this.AttachAdapters(config);
        this.to(dtype);
        return adapted;
    }

    public override Tensor forward(Tensor input) => Compute(input, again: false);

    private Tensor Compute(Tensor input, bool again)
    {
        using var scope = NewDisposeScope();
        var x = nn.functional.relu(up.forward(embedding.forward(input)));
        x = nn.functional.relu(mid.forward(nn.functional.relu(mid.forward(x))));
        if (again) x = nn.functional.relu(mid.forward(x));
        return head.forward(norm.forward(down.forward(x))).MoveToOuterDisposeScope();
    }

    /// <summary>The mean cross entropy in the dtype of the model: <see cref="TokenBatch.Loss"/> computes in float32.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="again">Whether one layer is used once more.</param>
    public Tensor Loss(TokenBatch batch, bool again = false)
    {
        using var scope = NewDisposeScope();
        var logits = again ? Compute(batch.InputIds, again) : forward(batch.InputIds);
        return nn.functional.cross_entropy(logits.reshape(-1, Vocabulary).index_select(0, batch.LossPositions), batch.Targets).MoveToOuterDisposeScope();
    }

    /// <summary>Sequences of different lengths, of which different parts are learned: the next token is a function of the one before, now and then disturbed.</summary>
    public static TokenData Data(int examples = 60, int seed = 5)
    {
        var random = new Random(seed);
        return TokenData.FromExamples(Enumerable.Range(0, examples).Select(_ => Example(random)), 24, 0, "numbers");
    }

    private static TokenExample Example(Random random)
    {
        var ids = new int[random.Next(6, 25)];
        for (var i = 1; i < ids.Length; i++) ids[i] = random.Next(8) == 0 ? random.Next(Vocabulary) : ((ids[i - 1] * 5) + 3) % Vocabulary;
        return new(ids, [.. ids.Select((_, i) => i >= ids.Length / 3 && random.Next(4) > 0)]);
    }
}
