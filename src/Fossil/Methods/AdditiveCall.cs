using Fossil.Adapters;
using Fossil.Autograd;
using static TorchSharp.torch;

namespace Fossil.Methods;

/// <summary>
/// A call whose adapters add to the base's output: y = u + Σ terms, u = x Wᵀ + b or given. This class has what all of them share: u, dx = dy W, db, du. A method says what its terms add
/// (<see cref="AddTerms"/>) and their gradients (<see cref="AddGradients"/>).
/// </summary>
/// <typeparam name="TTerm">One adapter's part.</typeparam>
internal abstract class AdditiveCall<TTerm> : TargetCall
    where TTerm : struct, ICallTerm
{
    private readonly CallWeight? weight;
    private readonly CallInput bias;
    private readonly CallInput given;

    /// <summary>Declares the input and what the base has.</summary>
    /// <param name="input">x (…, in).</param>
    /// <param name="start">What the terms are added to.</param>
    /// <param name="terms">The terms.</param>
    protected AdditiveCall(Tensor input, BaseOutput start, IReadOnlyList<TTerm> terms)
        : base(input)
    {
        weight = start.Weight is null ? null : Input(start.Weight);
        bias = Input(start.Bias);
        given = Input(start.Given);
        Terms = terms;
    }

    /// <summary>The terms.</summary>
    protected IReadOnlyList<TTerm> Terms { get; }

    /// <summary>The terms by the rows that they act on.</summary>
    protected IEnumerable<IGrouping<RowRange, TTerm>> Groups => Terms.GroupBy(term => term.Rows);

    /// <inheritdoc/>
    public sealed override Tensor Forward()
    {
        var flatInput = Flat(X.Value);

        // Flat: for more dimensions libtorch's C++ linear adds the bias in a second, separately rounded step.
        // detach: a view as output would be protected from in-place changes by the caller.
        var output = weight is not null
            ? weight.Value.Product(flatInput, bias.Optional).view(ShapeWith(weight.Value.OutFeatures)).detach()
            : given.Value.detach().contiguous().clone();
        if (weight is not null) Save(weight);
        AddTerms(Flat(output), flatInput);
        return output;
    }

    /// <inheritdoc/>
    public sealed override void Backward(Tensor gradOutput)
    {
        var grad = Flat(gradOutput);
        var inputGradient = !X.NeedsGradient ? null : weight is not null ? weight.Value.InputGradient(grad) : zeros(Rows, InputShape[^1], dtype: InputDtype, device: grad.device);
        AddGradients(grad, inputGradient);
        X.Gradient = inputGradient?.view(InputShape);
        if (bias.NeedsGradient) bias.Gradient = grad.sum(dim: 0);
        if (given.NeedsGradient) given.Gradient = gradOutput.alias();
    }

    /// <summary>Adds the terms to u, and saves what <see cref="AddGradients"/> reads.</summary>
    /// <param name="output">u (rows, out), contiguous; changed in place.</param>
    /// <param name="input">x (rows, in), contiguous.</param>
    protected abstract void AddTerms(Tensor output, Tensor input);

    /// <summary>Sets the gradients of the method's own inputs, and adds the terms' part to that of x.</summary>
    /// <param name="gradOutput">dy (rows, out), contiguous.</param>
    /// <param name="inputGradient">The base's part of dx (rows, in), contiguous, in x's dtype; changed in place. Null where none is wanted.</param>
    protected abstract void AddGradients(Tensor gradOutput, Tensor? inputGradient);
}
