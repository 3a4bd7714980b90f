namespace Fossil.Kernels;

/// <summary>As <see cref="IGate"/> with gelu(gate), by its approximation with tanh, in the place of silu(gate).</summary>
internal interface IGeluGate : IGate;
