using Fossil.Serialization;
using static TorchSharp.torch;

namespace Fossil.Models.Tests.Gguf;

public sealed class FromGgufSmolLM2Tests
{
    [SkippableTheory]
    [InlineData(0)]
    [InlineData(2)]
    public void Logits_are_those_of_transformers(int prompt)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = LlamaForCausalLM.FromGguf(SmolLM2.Model);
        using var reference = SafetensorsFile.Open(SmolLM2.Logits);
        var logits = model.forward(reference.Load($"{prompt}.input_ids"))[0, -1].to(ScalarType.Float64);
        var truth = reference.Load($"{prompt}.truth.last_logits");
        Assert.InRange((logits - truth).abs().max().item<double>(), 0, 1e-4);
    }
}
