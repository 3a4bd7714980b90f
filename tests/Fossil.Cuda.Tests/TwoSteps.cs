using Fossil.Models;
using Fossil.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Fossil.Cuda.Tests;

/// <summary>Two training steps of a decoder: what they came to, by which the device's are compared with the processor's.</summary>
internal static class TwoSteps
{
    /// <summary>The losses, and the sum of the squares of each parameter behind them.</summary>
    public static List<(string Name, double Value)> Run(LlamaForCausalLM model, FusedAdamW optimizer, Tensor tokens, IEnumerable<(string Name, Parameter Parameter)> parameters)
    {
        List<(string, double)> results = [];
        for (var step = 0; step < 2; step++)
        {
            using var scope = NewDisposeScope();
            var loss = model.loss(tokens, tokens);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            results.Add(($"the loss of step {step}", loss.item<float>()));
        }
        results.AddRange(parameters.Select(named => (named.Name, named.Parameter.to(float64).square().sum().item<double>())));
        return results;
    }
}
