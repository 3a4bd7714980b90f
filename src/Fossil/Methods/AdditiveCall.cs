using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Concurrency;
using Fossil.Kernels;
using Fossil.Weights;
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
    private bool addsBaseLast;
    private ProductSum? sum;
    private AdditiveCall<TTerm>[] others = [];

    /// <summary>Declares the input and what the base has.</summary>
    /// <param name="target">The target.</param>
    /// <param name="input">x (…, in).</param>
    /// <param name="start">What the terms are added to.</param>
    /// <param name="terms">The terms.</param>
    /// <param name="whole">The call that it is a part of (<see cref="With"/>); null for one by itself.</param>
    protected AdditiveCall(AdaptedTarget target, Tensor input, BaseOutput start, IReadOnlyList<TTerm> terms, AdditiveCall<TTerm>? whole = null)
        : base(target, input, whole)
    {
        weight = start.Weight is null ? null : Input(start.Weight);
        bias = Input(start.Bias);
        given = Input(start.Given);
        Terms = terms;
    }

    /// <summary>This call with those of other targets that read the same x, each of which was made as a part of it: one node, whose parts of dx add up without a tensor for each.</summary>
    /// <param name="parts">The others.</param>
    public AdditiveCall<TTerm> With(IEnumerable<AdditiveCall<TTerm>> parts)
    {
        others = [.. parts];
        return this;
    }

    /// <summary>Whether the base's product is part of the call.</summary>
    protected bool HasBase => weight is not null;

    /// <summary>Whether y was not written yet: the first term sets it.</summary>
    protected bool IsUnset { get; set; }

    /// <summary>The terms.</summary>
    protected IReadOnlyList<TTerm> Terms { get; }

    /// <summary>The terms by the rows that they act on.</summary>
    protected IEnumerable<IGrouping<RowRange, TTerm>> Groups => Terms.GroupBy(term => term.Rows);

    /// <inheritdoc/>
    public sealed override Tensor Forward()
    {
        var flatInput = Flat(X.Value);

        addsBaseLast = weight is not null && bias.Optional is null && HasRoundedProducts;
        if (addsBaseLast)
        {
            // The base's product, the larger one, is added to what the terms give, and rounded once. A bias is rounded together with the base's product, as in PEFT.
            var (size, product) = (new[] { Rows, weight!.Value.OutFeatures }, flatInput.to(OutputDtype));
            var factor = FactorOfSum(product);
            sum = factor is null ? null : new();
            IsUnset = sum is null && Terms is [var first, ..] && first.Rows == new RowRange(0, Rows);
            var y = IsUnset || sum is not null ? empty(size, dtype: OutputDtype, device: flatInput.device) : zeros(size, dtype: OutputDtype, device: flatInput.device);
            AddTerms(y, flatInput);
            if (sum is null)
            {
                weight.Value.AddProduct(y, product);
            }
            else
            {
                sum.Add(product, factor!.t());
                sum.WriteTo(y);
                sum = null;
            }

            Save(weight);
            return y.view(ShapeWith(y.size(1))).detach();
        }

        if (TryProduct(flatInput) is { } whole)
        {
            if (bias.Optional is { } added) whole.add_(added, Scalars.One);
            Save(weight!);
            return whole.view(ShapeWith(whole.size(1))).detach();
        }

        // Flat: for more dimensions libtorch's C++ linear adds the bias in a second, separately rounded step.
        // detach: a view as output would be protected from in-place changes by the caller.
        var output = weight is not null
            ? weight.Value.Product(flatInput.to(weight.Value.Dtype), bias.Optional).view(ShapeWith(weight.Value.OutFeatures)).detach()
            : given.Value.detach().contiguous().clone();
        if (weight is not null) Save(weight);
        AddTerms(Flat(output), flatInput);
        return output;
    }

    /// <inheritdoc/>
    public sealed override Tensor[] ForwardAll() => [Forward(), .. others.Select(other => other.Forward())];

    /// <inheritdoc/>
    public sealed override void Backward(Tensor gradOutput) => BackwardAll([gradOutput]);

    /// <inheritdoc/>
    public sealed override void BackwardAll(IReadOnlyList<Tensor?> gradOutputs)
    {
        (AdditiveCall<TTerm> Call, Tensor Gradient)[] parts =
            [.. others.Prepend(this).Zip(gradOutputs).Where(pair => pair.Second is not null).Select(pair => (pair.First, pair.First.Flat(pair.Second!)))];
        foreach (var (call, gradient) in parts)
        {
            if (call.bias.NeedsGradient) call.bias.Gradient = gradient.sum(dim: 0);
            if (call.given.NeedsGradient) call.given.Gradient = gradient.view(call.ShapeWith(gradient.size(1))).alias();
        }

        X.Gradient = X.NeedsGradient ? InputGradient(parts).view(InputShape) : null;
        if (X.NeedsGradient) return;
        foreach (var (call, gradient) in parts) call.AddGradients(gradient, null);
    }

    /// <summary>dx (rows, in) of all parts, with which each sets its other gradients.</summary>
    private Tensor InputGradient((AdditiveCall<TTerm> Call, Tensor Gradient)[] parts)
    {
        if (AddsBaseLast && HasBase) return InputGradientBeforeBase(parts);

        Tensor? dx = null;
        foreach (var (call, gradient) in parts)
        {
            var isWhole = call.TryAddInputGradient(gradient, ref dx);
            if (!isWhole) call.AddBaseGradient(gradient, ref dx);
            call.AddGradients(gradient, isWhole ? null : dx);
        }

        CompleteInputGradient(dx!, null);
        return dx!;
    }

    /// <summary>As <see cref="InputGradient"/>, where what the terms give comes first, and the base's part is added to it: at once where a kernel makes such sums.</summary>
    private Tensor InputGradientBeforeBase((AdditiveCall<TTerm> Call, Tensor Gradient)[] parts)
    {
        var products = parts.All(part => part.Call.GivesProducts && part.Call.FactorOfSum(part.Gradient) is not null) ? new ProductSum() : null;
        var dx = SetsInputGradient || products is not null ? empty(Rows, InputShape[^1], dtype: InputDtype, device: parts[0].Gradient.device) : zeros(Rows, InputShape[^1], dtype: InputDtype, device: parts[0].Gradient.device);
        foreach (var (call, gradient) in parts)
        {
            call.sum = products;
            call.AddGradients(gradient, dx);
        }

        CompleteInputGradient(dx, products);
        foreach (var (call, gradient) in parts)
        {
            if (products is null) call.weight!.Value.AddInputGradient(dx, gradient);
            else products.Add(gradient, call.FactorOfSum(gradient)!);
        }

        products?.WriteTo(dx);
        foreach (var (call, _) in parts) call.sum = null;
        return dx;
    }

    private void AddBaseGradient(Tensor gradOutput, ref Tensor? sum)
    {
        if (weight is null) sum ??= zeros(Rows, InputShape[^1], dtype: InputDtype, device: gradOutput.device);
        else if (sum is null) sum = weight.Value.InputGradient(gradOutput).to(InputDtype);
        else if (weight.Value.Dtype == sum.dtype) weight.Value.AddInputGradient(sum, gradOutput);
        else sum.add_(weight.Value.InputGradient(gradOutput), Scalars.One);
    }

    /// <summary>The frozen weight; null where the output is given.</summary>
    protected LinearWeight? Weight => weight?.Value;

    /// <summary>y without the bias (rows, out), where a kernel makes it of the weight and the adapters at once, and what <see cref="AddGradients"/> reads saved; null elsewhere.</summary>
    /// <param name="input">x (rows, in), contiguous.</param>
    protected virtual Tensor? TryProduct(Tensor input) => null;

    /// <summary>As <see cref="TryProduct"/> dx (rows, in), all that this target gives; false where none was given.</summary>
    /// <param name="gradOutput">dy (rows, out), contiguous.</param>
    /// <param name="inputGradient">What other targets gave, which is added to; null where none did, and then set.</param>
    protected virtual bool TryAddInputGradient(Tensor gradOutput, ref Tensor? inputGradient) => false;

    /// <summary>Whether all that the terms give dx are products of all rows (<see cref="TryAddToSum"/>) and a tile: then dx is one sum with the base's part.</summary>
    protected virtual bool GivesProducts => false;

    /// <summary>Whether y and dx may be made at once, of a sum that terms are added to; false where a device has kernels for the method's whole passes.</summary>
    /// <param name="rows">x or dy, on the device.</param>
    protected virtual bool TakesSum(Tensor rows) => true;

    /// <summary>Whether y or dx is made at once, of a sum that terms are added to: nothing else is to write it.</summary>
    protected bool IsOfSum => sum is not null;

    /// <summary>Adds a product of all rows to the sum of which y or dx is made; false where there is none.</summary>
    protected bool TryAddToSum(Tensor left, Tensor right)
    {
        sum?.Add(left, right);
        return IsOfSum;
    }

    /// <summary>W (out, in) as a factor of a sum with x or dy; null where the sum is not made by one kernel.</summary>
    private Tensor? FactorOfSum(Tensor left) => ProductSum.Pays(left, Rows) && TakesSum(left) && weight!.Value.Exact is FloatWeight { Dtype: ScalarType.BFloat16 or ScalarType.Float32 } factor ? factor.Tensor : null;

    /// <summary>Whether <see cref="AddGradients"/> and <see cref="CompleteInputGradient"/> write all of dx where the base's part is added afterwards, so that it need not be zeroed.</summary>
    protected virtual bool SetsInputGradient => false;

    /// <summary>Adds to dx what the terms of all parts give it together, once, behind the <see cref="AddGradients"/> of each.</summary>
    /// <param name="inputGradient">dx (rows, in) so far, contiguous, in x's dtype; changed in place.</param>
    /// <param name="products">What dx is made of afterwards, where it is not set here; null elsewhere.</param>
    protected virtual void CompleteInputGradient(Tensor inputGradient, ProductSum? products)
    {
    }

    /// <summary>Adds the terms to u, and saves what <see cref="AddGradients"/> reads.</summary>
    /// <param name="output">u (rows, out), or zeros where u comes last, contiguous; changed in place.</param>
    /// <param name="input">x (rows, in), contiguous.</param>
    protected abstract void AddTerms(Tensor output, Tensor input);

    /// <summary>Adds a term's product in bfloat16: y += s·L R. To u it is added rounded, as in PEFT, which adds two tensors; otherwise y is its accumulator.</summary>
    /// <param name="output">y (rows, out).</param>
    /// <param name="range">The rows of the term.</param>
    /// <param name="left">L (rows of the term, r), in bfloat16.</param>
    /// <param name="right">R (r, out), or (r, m) that stands for its tiling, in bfloat16 or float32.</param>
    /// <param name="scale">s.</param>
    protected void AddRoundedProduct(Tensor output, RowRange range, Tensor left, Tensor right, double scale = 1)
    {
        if (sum is not null)
        {
            sum.Add(range.Padded(left, Rows), right, scale);
            return;
        }

        using var scope = NewDisposeScope();
        (output, right) = (range.Of(output), right.to(left.dtype));
        var (width, tiles) = (right.size(1), output.size(1) / right.size(1));
        if (addsBaseLast && tiles == 1)
        {
            output.addmm_(left, right, beta: IsUnset ? 0 : 1, alpha: (float)scale);
            IsUnset = false;
            return;
        }

        if (IsUnset) output.zero_();
        IsUnset = false;

        var product = left.mm(right);
        if (scale != 1) product.mul_(Scalars.Of(scale));
        if (tiles == 1) output.add_(product, Scalars.One);
        else output.view(output.size(0), tiles, width).add_(product.unsqueeze(1), Scalars.One);
    }

    /// <summary>Sets the gradients of the method's own inputs, and adds the terms' part to that of x.</summary>
    /// <param name="gradOutput">dy (rows, out), contiguous.</param>
    /// <param name="inputGradient">dx (rows, in) so far, contiguous, in x's dtype; changed in place. Null where none is wanted.</param>
    protected abstract void AddGradients(Tensor gradOutput, Tensor? inputGradient);
}
