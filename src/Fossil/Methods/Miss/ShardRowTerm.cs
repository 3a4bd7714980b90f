using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Fossil.CompilerServices;
using Fossil.Kernels.Cpu;
using Fossil.Kernels.OneRow;
using static TorchSharp.torch;

namespace Fossil.Methods.Miss;

/// <summary>S D of a single row.</summary>
internal sealed unsafe class ShardRowTerm : RowTerm
{
    private readonly Tensor shard;
    private readonly float* address;
    private readonly long size, width;

    private ShardRowTerm(Tensor shard, long size, long width)
    {
        (this.shard, this.size, this.width) = (shard, size, width);
        address = (float*)NativeTensor.Data(shard);
    }

    /// <summary>What a layer adds; null where that needs more than this: a shard size that is no multiple of a vector, or a shard that is not contiguous float32.</summary>
    /// <param name="shard">D (r, out).</param>
    /// <param name="inFeatures">Width of the input.</param>
    public static ShardRowTerm? TryCreate(Tensor shard, long inFeatures)
    {
        var (size, width) = (shard.size(0), shard.size(1));
        return shard.dtype == ScalarType.Float32 && shard.is_contiguous() && size % Lanes.Count == 0 && inFeatures % size == 0 ? new(shard, size, width) : null;
    }

    public override long PreparedFloats => size;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Prepare(float* input, long count, float* prepared)
    {
        for (long j = 0; j < size; j += Lanes.Count)
        {
            var sum = Vector512.Load(input + j);
            for (var i = j + size; i < count; i += size) sum += Vector512.Load(input + i);
            sum.Store(prepared + j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Add(float* prepared, long first, long end, float* output)
    {
        var column = first;
        for (; column + (2 * Lanes.Count) <= end; column += 2 * Lanes.Count)
        {
            Vector512<float> low = default, high = default;
            var row = address + column;
            for (long j = 0; j < size; j++, row += width)
            {
                var factor = Vector512.Create(prepared[j]);
                low = Vector512.FusedMultiplyAdd(factor, Vector512.Load(row), low);
                high = Vector512.FusedMultiplyAdd(factor, Vector512.Load(row + Lanes.Count), high);
            }

            var target = output + (column - first);
            (Vector512.Load(target) + low).Store(target);
            (Vector512.Load(target + Lanes.Count) + high).Store(target + Lanes.Count);
        }

        for (; column < end; column++)
        {
            var sum = 0f;
            for (long j = 0; j < size; j++) sum = MathF.FusedMultiplyAdd(prepared[j], address[(j * width) + column], sum);
            output[column - first] += sum;
        }

        GC.KeepAlive(shard);
    }
}
