using Fossil.Adapters;
using Fossil.Autograd;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Methods;

/// <summary>
/// One forward pass of a target with the adapters of one method: x (…, in) to y (…, out), computed on rows. What a method says beside this is its mathematics. A method whose adapters add to the
/// base's output derives from <see cref="AdditiveCall{TTerm}"/>; one that scales it (IA3) or changes the weight (Bat, DoRA) from this class.
/// </summary>
/// <remarks>
/// A method's <c>Apply(TargetPass pass)</c> makes its terms (and draws their dropout), opens the <see cref="BaseOutput"/> and runs the call:
/// <code>
/// var terms = pass.Layers.Select(VeraTerm.Of).ToArray();
/// using var start = BaseOutput.Of(pass);
/// return AdapterFunction.Run(new VeraCall(pass, start, terms));
/// </code>
/// </remarks>
internal abstract class TargetCall : AdapterCall
{
    /// <summary>Declares the input.</summary>
    /// <param name="target">The target.</param>
    /// <param name="input">x (…, in).</param>
    /// <param name="whole">The call that it is a part of, which reads the same x; null for one by itself.</param>
    protected TargetCall(AdaptedTarget target, Tensor input, TargetCall? whole = null)
        : base(whole)
    {
        X = whole?.X ?? Input(input);
        InputShape = input.shape;
        InputDtype = input.dtype;
        Accumulator = ShardOperations.Accumulator(InputDtype);
        (ProductDtype, OutputDtype) = target.Base.HasBf16Products && InputDtype != ScalarType.Float64 ? (ScalarType.BFloat16, ScalarType.BFloat16) : (Accumulator, InputDtype);
        Rows = ShardOperations.Rows(InputShape);
    }

    /// <summary>x (…, in).</summary>
    protected CallInput X { get; }

    /// <summary>The shape of x.</summary>
    protected long[] InputShape { get; }

    /// <summary>The dtype of x.</summary>
    protected ScalarType InputDtype { get; }

    /// <summary>The dtype that sums over x are made in.</summary>
    protected ScalarType Accumulator { get; }

    /// <summary>The dtype of the factors of the adapters' products: that of sums, or bfloat16 (<see cref="AdaptedModel.Bf16Products"/>).</summary>
    protected ScalarType ProductDtype { get; }

    /// <summary>Whether products are rounded to bfloat16.</summary>
    protected bool HasRoundedProducts => ProductDtype != Accumulator;

    /// <summary>Whether dx is the accumulator of the base's product, which comes last: rounded once, at its full size. A float32 x has a float32 gradient, into which all parts are added.</summary>
    protected bool AddsBaseLast => HasRoundedProducts && InputDtype == ProductDtype;

    /// <summary>The dtype of y: that of x, or bfloat16 where products are made so.</summary>
    protected ScalarType OutputDtype { get; }

    /// <summary>How many rows x has when it is flattened.</summary>
    protected long Rows { get; }

    /// <summary><paramref name="tensor"/>, which has the rows of x, as (rows, width), contiguous.</summary>
    protected Tensor Flat(Tensor tensor) => tensor.reshape(Rows, tensor.size(-1)) is var flat && flat.is_contiguous() ? flat : flat.contiguous();

    /// <summary>The shape of x with another last dimension.</summary>
    protected long[] ShapeWith(long width) => [.. InputShape[..^1], width];
}
