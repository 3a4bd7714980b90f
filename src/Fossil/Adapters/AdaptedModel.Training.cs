using System.Globalization;
using Fossil.Adapters;
using Fossil.Concurrency;
using Fossil.Targets;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil;

/// <content>What is trained.</content>
public sealed partial class AdaptedModel
{
    private bool bf16Products;

    /// <summary>The parameters that require a gradient, by their names in the model, as they are registered now: <c>.to</c> puts new ones in their place.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> TrainableParameters()
    {
        using var entry = Enter();
        return parameters.Trainable();
    }

    /// <summary>What the adapters have beside their parameters and training leaves as it is (PiSSA's start): an adapter's folder brings it along.</summary>
    internal IReadOnlyList<Tensor> AdapterBuffers()
    {
        using var entry = Enter();
        return [.. adapters.Layers.SelectMany(layer => layer.BufferNames.Select(layer.Buffer))];
    }

    /// <summary>
    /// Whether the products of the adapted model's projections are made in bfloat16, as PyTorch makes them under <c>torch.autocast(dtype=torch.bfloat16)</c> and transformers with <c>bf16=True</c>:
    /// factors are rounded to bfloat16, sums stay in float32. Parameters, their gradients and the optimizer's state stay float32. Over a float32 or float16 base the base's products are made so too,
    /// also where no adapter acts; float64 is left alone. Off (the default), the adapters' arithmetic is float32 whatever the base's dtype.
    /// </summary>
    /// <remarks>
    /// Faster on processors with instructions for bfloat16 (avx512_bf16, AMX). As under autocast, over a float32 base the projections then give bfloat16 tensors, FOSSIL and VeRA apart, which give
    /// them in the input's dtype. It is no part of a saved adapter.
    /// </remarks>
    public bool Bf16Products
    {
        get => bf16Products;
        set
        {
            using var entry = Enter();
            SetBf16Products(value);
        }
    }

    /// <summary>How many numbers are trained, and how many the model has with its adapters (PEFT: <c>get_nb_trainable_parameters</c>).</summary>
    public (long Trainable, long All) CountParameters()
    {
        using var entry = Enter();
        var (trainable, all) = (0L, 0L);
        foreach (var (_, parameter) in Model.named_parameters())
        {
            all += parameter.numel();
            if (parameter.requires_grad) trainable += parameter.numel();
        }
        return (trainable, all);
    }

    /// <summary>Writes PEFT's line <c>trainable params: … || all params: … || trainable%: …</c>.</summary>
    /// <param name="writer">Where to; the console where null.</param>
    public void PrintTrainableParameters(TextWriter? writer = null)
    {
        var (trainable, all) = CountParameters();
        (writer ?? Console.Out).WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"trainable params: {trainable:N0} || all params: {all:N0} || trainable%: {100.0 * trainable / Math.Max(1, all):F4}"));
    }

    /// <summary>AdamW over what is trainable now. After <c>.to(…)</c> on the model, or another choice of adapters, make a new one: the parameters are others.</summary>
    /// <param name="learningRate">Step size.</param>
    /// <param name="weightDecay">Decoupled weight decay.</param>
    /// <param name="beta1">Decay of the first moment.</param>
    /// <param name="beta2">Decay of the second moment.</param>
    /// <param name="eps">Added to the root of the second moment.</param>
    /// <exception cref="AdapterStateException">Nothing is trainable: all adapters are frozen or merged.</exception>
    public FusedAdamW CreateOptimizer(double learningRate = 1e-3, double weightDecay = 0, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-8)
    {
        var trainable = TrainableParameters();
        if (trainable.Count == 0)
        {
            throw new AdapterStateException(adapters.Merged.Count > 0
                ? $"Nothing is trainable while {adapters.MergedText} merged into the base. Call Unmerge() first."
                : "Nothing is trainable: the active adapters are frozen. Call Unfreeze(name), or load them with isTrainable: true.");
        }

        return new FusedAdamW(trainable, learningRate, beta1, beta2, eps, weightDecay);
    }

    private void SetBf16Products(bool value)
    {
        bf16Products = value;
        foreach (var target in Targets)
        {
            target.Base.HasBf16Products = value;

            // Projections without adapters get what those with adapters give.
            DispatchTable.Update(target);
        }
    }

    /// <summary>Keeps other threads out while an optimizer changes parameters.</summary>
    /// <exception cref="AdapterBackwardException">The backward pass that the gradients are of failed.</exception>
    internal ModelGuard.Entry EnterToStep() => guard.EnterToStep();

    /// <summary>The parameters of adapters and of the base to whose memory others refer too.</summary>
    internal IEnumerable<Parameter> SharedParameters() => parameters.Shared().Concat(trainedBase.Shared());

    /// <inheritdoc cref="AdapterParameters.Unused"/>
    internal IEnumerable<Parameter> UnusedParameters() => parameters.Unused();

    /// <inheritdoc cref="AdapterParameters.ReportMissingGradients"/>
    internal void ReportMissingGradients(IReadOnlySet<Parameter> without) => parameters.ReportMissingGradients(without);
}
