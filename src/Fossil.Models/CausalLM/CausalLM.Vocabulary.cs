using Fossil.Concurrency;
using Fossil.Weights;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Fossil.Models;

/// <content>The number of tokens, and how it is changed.</content>
public abstract partial class CausalLM : IPretrainedModel
{
    // How far new rows lie from the mean of the old ones: transformers draws them with the old rows' covariance times this.
    private const double NewRowsVariance = 1e-9;

    // New rows that are drawn at a time: bounds what is held beside the matrix.
    private const int DrawnRows = 64;

    private int checkpointVocabSize;

    bool IPretrainedModel.IsVocabularyResized => CommonConfig.VocabSize != checkpointVocabSize;

    string IPretrainedModel.ResizeCall(long size) => $"model.{nameof(ResizeTokenEmbeddings)}({size})";

    /// <summary>
    /// Changes the number of tokens: the embedding and the output layer get new rows at their end, or lose rows there, and <c>vocab_size</c> of the configuration follows (transformers:
    /// <c>resize_token_embeddings</c>). Tied, they stay so. Adapters that are saved afterwards bring both matrices with them, as PEFT writes them.
    /// </summary>
    /// <remarks>Both matrices are new Parameters: make optimizers afterwards.</remarks>
    /// <param name="newSize">The number of tokens, at least 1.</param>
    /// <param name="padToMultipleOf">Rounds it up to a multiple of this; null to leave it.</param>
    /// <param name="meanResizing">
    /// Whether new rows start near the mean of the old ones: drawn from a normal distribution of their mean and 1e-9 times their covariance, so that no new token is likely before it is trained.
    /// Otherwise they are drawn with <see cref="CausalLMConfig.InitializerRange"/>, as in a fresh model. Both draw from torch's generator.
    /// </param>
    /// <returns>The number of tokens now.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    /// <exception cref="AdapterStateException">Adapters act on the embedding or the output layer, or have values of their own for them.</exception>
    /// <exception cref="WeightNotChangeableException">One of the two is quantised.</exception>
    public int ResizeTokenEmbeddings(int newSize, int? padToMultipleOf = null, bool meanResizing = true)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(newSize, 1);
        if (padToMultipleOf is { } multiple)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(multiple, 1, nameof(padToMultipleOf));
            newSize = checked((int)((newSize + (long)multiple - 1) / multiple * multiple));
        }

        using var entry = ModelGuard.Of(this).Enter();
        if (newSize == CommonConfig.VocabSize) return newSize;
        Module<Tensor, Tensor>[] modules = Output is TiedLinear { IsTied: true } ? [Embedding] : [Embedding, Output];
        foreach (var module in (Module<Tensor, Tensor>[])[Embedding, Output]) AdaptedModel.CheckReplaceable(this, module);
        if (Array.Find(modules, module => BaseWeight.Find(module) is null) is { } encoded)
            throw new WeightNotChangeableException($"The weight of a {encoded.GetName()} is held as {BaseWeight.Of(encoded)?.GetType().Name}, which cannot be given other rows. Load the model with floating-point weights to resize it.");

        using var noGrad = no_grad();
        Parameter[] resized = [.. modules.Select(module => Resized((Parameter)BaseWeight.Find(module)!, newSize, meanResizing))];
        foreach (var (module, parameter) in modules.Zip(resized)) Put(module, parameter);
        return newSize;
    }

    private Parameter Resized(Parameter old, int rows, bool meanResizing)
    {
        using var scope = NewDisposeScope();
        var kept = Math.Min(rows, old.size(0));
        var values = empty([rows, old.size(1)], dtype: old.dtype, device: old.device);
        values.narrow(0, 0, kept).copy_(old.narrow(0, 0, kept));
        if (rows > kept && !meanResizing) values.narrow(0, kept, rows - kept).normal_(0, CommonConfig.InitializerRange);
        if (rows > kept && meanResizing) DrawNearMean(values.narrow(0, kept, rows - kept), old);
        var parameter = new Parameter(values, old.requires_grad);
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <summary>Fills <paramref name="added"/> with the mean of <paramref name="old"/> and weighted sums of its deviations from that: their covariance is that of the old rows, scaled.</summary>
    private static void DrawNearMean(Tensor added, Tensor old)
    {
        using var scope = NewDisposeScope();
        var exact = old.to(ScalarType.Float32);
        var mean = exact.mean([0], keepdim: true);
        var deviations = exact.sub(mean);
        var scale = Math.Sqrt(NewRowsVariance / old.size(0));
        for (long done = 0; done < added.size(0); done += DrawnRows)
        {
            using var piece = NewDisposeScope();
            var rows = added.narrow(0, done, Math.Min(DrawnRows, added.size(0) - done));
            var weights = randn([rows.size(0), old.size(0)], device: old.device).mul_(Scalars.Of(scale));
            rows.copy_(weights.matmul(deviations).add_(mean, Scalars.One));
        }
    }

    private static void Put(nn.Module module, Parameter parameter)
    {
        var old = module.get_parameter(BaseWeight.Name)!;
        switch (module)
        {
            case TokenEmbedding embedding:
                embedding.Put(parameter);
                break;
            case LinearLayer layer:
                layer.Put(BaseWeight.Name, parameter);
                break;
            case TiedLinear tied:
                tied.Put(parameter);
                break;
        }

        old.Dispose();
    }
}
