using System.Collections.Concurrent;
using Fossil.Kernels;
using static TorchSharp.torch;

namespace Fossil.Weights;

/// <summary>A weight that is held as blocks or codes, as the kernels of devices see it.</summary>
/// <param name="Format">How its bytes are read: the name of a format that kernels know, as <c>Q4_K</c> or <c>FourBits</c>.</param>
/// <param name="Codes">The bytes, row by row without gaps.</param>
/// <param name="Rows">Rows of the weight.</param>
/// <param name="Columns">Its columns.</param>
/// <param name="RowBytes">Bytes of a row.</param>
internal sealed record EncodedForm(string Format, Tensor Codes, long Rows, long Columns, long RowBytes)
{
    /// <summary>Of each so many rows the halves lie interleaved; 0 where rows lie in their order.</summary>
    public long HeadRows { get; init; }

    /// <summary>Scales that lie elsewhere; null where they are among the bytes.</summary>
    public EncodedScales? Scales { get; init; }

    /// <summary>The dtype that each value is rounded to before it is one of the weight's.</summary>
    public ScalarType Stored { get; init; } = ScalarType.Float32;
}

/// <summary>Scales of blocks of rows and columns: that of an element is number row / <paramref name="BlockRows"/> · <paramref name="ScaleColumns"/> + column / <paramref name="BlockColumns"/>.</summary>
/// <param name="Values">The scales, float32, behind the values of the codes where the format has such.</param>
/// <param name="BlockRows">As said.</param>
/// <param name="ScaleColumns">As said.</param>
/// <param name="BlockColumns">As said.</param>
internal sealed record EncodedScales(DeviceFloats Values, long BlockRows, long ScaleColumns, long BlockColumns);

/// <summary>Numbers that are made once, and copied once to each device that asks.</summary>
/// <param name="make">Makes them.</param>
internal sealed class DeviceFloats(Func<float[]> make)
{
    private readonly ConcurrentDictionary<DevicePlace, Lazy<Tensor>> copies = [];

    /// <summary>The numbers on the device of a tensor; they live as long as this object.</summary>
    public Tensor Beside(Tensor neighbour) => copies.GetOrAdd(DevicePlace.Of(neighbour), _ => new(() => tensor(make(), device: neighbour.device).DetachFromDisposeScope())).Value;
}
