namespace Fossil.Serialization;

/// <summary>What a safetensors header says about one tensor.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Dtype">The dtype of its elements.</param>
/// <param name="Shape">Its dimensions; empty for a scalar.</param>
/// <param name="Offset">Where its bytes begin, counted from the end of the header.</param>
/// <param name="ByteCount">The number of its bytes.</param>
public sealed record SafetensorInfo(string Name, SafetensorsDtype Dtype, IReadOnlyList<long> Shape, long Offset, long ByteCount);
