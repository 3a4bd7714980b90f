using Fossil.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

/// <summary>Keeps a float32 copy of each bfloat16 parameter, steps the copy by the gradient, and rounds it back into the model.</summary>
internal sealed class MixedPrecisionOptimizer : IDisposable
{
    private readonly (Parameter Model, Parameter Master)[] pairs;
    private readonly Muon muon;
    private readonly AdamW adamW;

    public MixedPrecisionOptimizer(LlamaForCausalLM model)
    {
        pairs = [.. model.named_parameters().Select(p => (p.parameter, new Parameter(p.parameter.detach().to(float32))))];
        var named = model.named_parameters().Select(p => p.name).Zip(pairs, (name, pair) => (name, pair.Master)).ToArray();
        muon = new Muon([.. named.Where(p => p.name.Contains("_proj.")).Select(p => p.Master)]);
        adamW = optim.AdamW([.. named.Where(p => !p.name.Contains("_proj.")).Select(p => p.Master)], beta1: 0.9, beta2: 0.98, weight_decay: 0);
    }

    public void Step(double learningRate, double muonLearningRate)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach (var (parameter, master) in pairs)
        {
            master.grad = parameter.grad!.to(float32);
            parameter.grad = null;
        }
        nn.utils.clip_grad_norm_(pairs.Select(p => p.Master), 1.0);
        foreach (var group in adamW.ParamGroups) group.LearningRate = learningRate;
        adamW.step();
        muon.Step(muonLearningRate);
        foreach (var (parameter, master) in pairs)
        {
            parameter.copy_(master);
            master.grad = null;
        }
    }

    public void Dispose()
    {
        adamW.Dispose();
        muon.Dispose();
        foreach (var (_, master) in pairs) master.Dispose();
    }
}

/// <summary>
/// Muon (Jordan et al. 2024): the momentum of each matrix, orthogonalised by five Newton-Schulz iterations, is the step. It learns more from each byte than AdamW,
/// at a cost that does not grow with the batch.
/// </summary>
internal sealed class Muon(IReadOnlyList<Parameter> matrices, double momentum = 0.95, double weightDecay = 0.05) : IDisposable
{
    private readonly Tensor[] velocities = [.. matrices.Select(m => zeros_like(m).DetachFromDisposeScope())];

    public void Step(double learningRate)
    {
        for (var i = 0; i < matrices.Count; i++)
        {
            using var scope = NewDisposeScope();
            var (matrix, gradient) = (matrices[i], matrices[i].grad!);
            velocities[i].lerp_(gradient, 1 - momentum);
            var step = Orthogonalize(gradient.lerp(velocities[i], momentum));
            var scale = Math.Sqrt(Math.Max(1.0, (double)matrix.shape[0] / matrix.shape[1]));
            matrix.mul_(1 - learningRate * weightDecay).add_(step, alpha: -learningRate * scale);
        }
    }

    /// <summary>U Vᵀ of the singular value decomposition, nearly: the iteration's polynomial drives singular values to about 1.</summary>
    private static Tensor Orthogonalize(Tensor gradient)
    {
        var tall = gradient.shape[0] > gradient.shape[1];
        var x = (tall ? gradient.t() : gradient).to(bfloat16);
        x = x / (x.norm() + 1e-7);
        for (var i = 0; i < 5; i++)
        {
            var a = x.mm(x.t());
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a.mm(a)).mm(x);
        }
        return (tall ? x.t() : x).to(float32);
    }

    public void Dispose()
    {
        foreach (var velocity in velocities) velocity.Dispose();
    }
}
