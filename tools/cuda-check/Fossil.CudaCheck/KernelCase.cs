using Fossil.CompilerServices;

namespace Fossil.CudaCheck;

/// <summary>Launches of a source's kernels on operands of a size.</summary>
/// <param name="Name">The operation, as the Python script knows it too.</param>
/// <param name="Size">Sizes and element type, for people.</param>
/// <param name="Source">What is compiled: its name and its text.</param>
/// <param name="Operands">What the kernels read and write, with what is expected behind them.</param>
/// <param name="MovedBytes">Bytes that must be read or written at least.</param>
/// <param name="Launch">Launches it.</param>
internal sealed record KernelCase(string Name, string Size, (string Name, string Text) Source, Operand[] Operands, long MovedBytes, Action<Launcher, Func<Operand, CudaMatrix>> Launch)
{
    /// <summary>What the operation depends on besides its operands: the shard size, head_dim.</summary>
    public long Parameter { get; init; }
}
