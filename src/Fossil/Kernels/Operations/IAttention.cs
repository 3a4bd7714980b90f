using Fossil.CompilerServices;

namespace Fossil.Kernels;

/// <summary>Causal grouped-query attention with rotary positions, softmax(rope(q) rope(k)ᵀ / √head_dim) v; the size is head_dim.</summary>
internal interface IAttention : IDifferentiableKernel
{
    /// <param name="inputs">What it reads; the normalizers are written.</param>
    /// <param name="output">(batch · tokens, heads · head_dim); written.</param>
    void Forward(in AttentionInputs inputs, in KernelMatrix output);

    /// <summary>Writes the gradients, which lie as what they are of.</summary>
    void Backward(in AttentionInputs inputs, in KernelMatrix gradOutput, in KernelMatrix queryGradient, in KernelMatrix keyGradient, in KernelMatrix valueGradient);
}

/// <summary>What both passes of an attention read.</summary>
/// <param name="Batch">Sequences.</param>
/// <param name="Tokens">Tokens of each.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Heads of keys and values.</param>
/// <param name="Size">head_dim.</param>
/// <param name="Queries">Before their rotation, (batch · tokens, heads · head_dim).</param>
/// <param name="Keys">Before their rotation, (batch · tokens, key-value heads · head_dim).</param>
/// <param name="Values">As the keys.</param>
/// <param name="Cos">cos of the angles (tokens or batch · tokens, head_dim), float32.</param>
/// <param name="Sin">sin of the same.</param>
/// <param name="Starts">For each token the first one that it sees, (batch, tokens), int64; no rows: the first of its sequence.</param>
/// <param name="Normalizers">log Σ exp of each row of scores, (batch · heads, tokens), float32.</param>
internal readonly record struct AttentionInputs(
    long Batch, long Tokens, long Heads, long KeyValueHeads, long Size, KernelMatrix Queries, KernelMatrix Keys, KernelMatrix Values, KernelMatrix Cos, KernelMatrix Sin, KernelMatrix Starts, KernelMatrix Normalizers);
