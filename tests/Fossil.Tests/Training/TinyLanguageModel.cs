using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Tests.Training;

/// <summary>Predicts a token from the one before it; with dropout, so that a resumed run needs the right random numbers.</summary>
[FossilAdapt("up", "head", ShardSize = 8)]
public sealed partial class TinyLanguageModel : nn.Module<Tensor, Tensor>
{
    public const int Vocabulary = 32;
    private readonly Embedding embedding = nn.Embedding(Vocabulary, 24);
    private readonly Linear up = nn.Linear(24, 40);
    private readonly Dropout dropout = nn.Dropout(0.1);
    private readonly Linear head = nn.Linear(40, Vocabulary);

    public TinyLanguageModel(int seed = 1)
        : base(nameof(TinyLanguageModel))
    {
        RegisterComponents();
        using var withoutGradient = no_grad();
        manual_seed(seed);
        foreach (var parameter in parameters()) nn.init.normal_(parameter, 0, 0.2);
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return head.forward(dropout.forward(nn.functional.relu(up.forward(embedding.forward(input))))).MoveToOuterDisposeScope();
    }

    public Tensor Loss(TokenBatch batch) => batch.Loss(forward(batch.InputIds));

    /// <summary>A sequence with something to learn: the next token is a fixed function of the one before, now and then disturbed.</summary>
    public static TokenData Data(int tokens = 4000, int length = 16, int seed = 5)
    {
        var random = new Random(seed);
        var ids = new int[tokens];
        for (var i = 1; i < tokens; i++) ids[i] = random.Next(8) == 0 ? random.Next(Vocabulary) : (ids[i - 1] * 5 + 3) % Vocabulary;
        return TokenData.FromWindows(ids, length, "numbers");
    }

    /// <summary>The values of all parameters, one after the other.</summary>
    public float[] Values() => parameters().SelectMany(parameter => parameter.detach().flatten().data<float>().ToArray()).ToArray();
}
