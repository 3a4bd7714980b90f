namespace Fossil;

/// <summary>What the choice of targets needs to know of a module.</summary>
/// <param name="Path">Its path in the model, e.g. <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="IsLinear">Whether "all-linear" means it.</param>
/// <param name="IsOutputLayer">Whether it is the model's output layer, which "all-linear" leaves out.</param>
/// <param name="IsAnnotated">Whether an attribute names it: without <c>target_modules</c> these are the targets.</param>
public readonly record struct SelectableModule(string Path, bool IsLinear, bool IsOutputLayer, bool IsAnnotated);
