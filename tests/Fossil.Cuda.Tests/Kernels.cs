using System.Text.RegularExpressions;

namespace Fossil.Cuda.Tests;

/// <summary>One emitted source.</summary>
internal sealed partial record KernelSource(int ShardSize, CudaElement Element)
{
    /// <summary>
    /// Sources in which everything differs that the emitter makes different: chunks of whole vectors and others, narrower than a vector, with a period of one vector and of more vectors than a block
    /// has threads, with tiles of eight rows and of one; each element type with each kind.
    /// </summary>
    public static IEnumerable<KernelSource> Sample => new (int Size, string Types)[]
    {
        (1, "float bfloat16"), (3, "float16"), (8, "bfloat16"), (16, "float"), (24, "float16"), (64, "float bfloat16 float16"), (100, "bfloat16"), (127, "float"), (512, "bfloat16"), (1023, "float16"), (1024, "bfloat16"),
    }.SelectMany(one => one.Types.Split(' ').Select(type => new KernelSource(one.Size, CudaElement.All.Single(element => element.CudaType == type))));

    /// <summary>The source.</summary>
    public string Text => CudaShardSource.Of(ShardSize, Element);

    /// <summary>The kernels in it.</summary>
    public static IEnumerable<string> KernelsOf(string text) => Entry().Matches(text).Select(match => match.Groups[1].Value);

    public override string ToString() => $"shard size {ShardSize}, {Element.CudaType}";

    [GeneratedRegex(@"extern ""C"" __global__ void __launch_bounds__\([^)]*\) (\w+)\(")]
    private static partial Regex Entry();
}

/// <summary>Element types as libtorch has them.</summary>
internal static class CudaElements
{
    public static TorchSharp.torch.ScalarType Dtype(this CudaElement element) => Enum.Parse<TorchSharp.torch.ScalarType>(element.Name);
}
