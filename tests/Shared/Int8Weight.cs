using static TorchSharp.torch;

namespace Fossil.TestData;

/// <summary>A weight as int8 rows with a scale each: what a quantised format would say of itself, in the fewest lines.</summary>
internal sealed class Int8Weight(Tensor values, Tensor scales) : LinearWeight
{
    public override long OutFeatures => values.shape[0];

    public override long InFeatures => values.shape[1];

    public override ScalarType Dtype => scales.dtype;

    /// <summary>Few, and no multiple of anything, so that small weights have many tiles.</summary>
    public override long RowsPerTile => 10;

    public override IReadOnlyList<Tensor> Data => [values, scales];

    /// <summary>A weight (out, in) rounded to int8.</summary>
    public static Int8Weight Of(Tensor weight)
    {
        using var scope = NewDisposeScope();
        var scales = weight.detach().abs().amax([1], keepdim: true) / 127;
        return new Int8Weight((weight.detach() / scales).round().to(ScalarType.Int8).MoveToOuterDisposeScope(), scales.MoveToOuterDisposeScope());
    }

    public override LinearWeight WithData(IReadOnlyList<Tensor> data) => new Int8Weight(data[0], data[1]);

    public override Tensor Rows(long start, long count) => values.narrow(0, start, count).to(Dtype) * scales.narrow(0, start, count);
}
