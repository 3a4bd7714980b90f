using Fossil.CompilerServices;

namespace Fossil.Cuda;

/// <summary>One launch of a kernel: all that the driver needs. The kernels' shared memory is of a size that is known when they are compiled.</summary>
/// <param name="Kernel">The kernel's name in its source.</param>
/// <param name="Grid">Blocks.</param>
/// <param name="Block">Threads of a block.</param>
/// <param name="Arguments">The kernel's arguments, in its order.</param>
internal sealed record CudaLaunch(string Kernel, (uint X, uint Y) Grid, (uint X, uint Y) Block, params CudaArgument[] Arguments);
