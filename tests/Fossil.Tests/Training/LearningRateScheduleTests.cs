using Fossil.Training;

namespace Fossil.Tests.Training;

/// <summary>The expected rates are those that transformers' own tests ask for (base rate 10, ten steps).</summary>
public class LearningRateScheduleTests
{
    [Theory]
    [InlineData(LearningRateSchedulerType.Constant, 2, new[] { 10.0, 10, 10, 10, 10, 10, 10, 10, 10, 10 })]
    [InlineData(LearningRateSchedulerType.ConstantWithWarmup, 4, new[] { 0.0, 2.5, 5, 7.5, 10, 10, 10, 10, 10, 10 })]
    [InlineData(LearningRateSchedulerType.Linear, 2, new[] { 0.0, 5, 10, 8.75, 7.5, 6.25, 5, 3.75, 2.5, 1.25 })]
    [InlineData(LearningRateSchedulerType.Cosine, 2, new[] { 0.0, 5, 10, 9.61, 8.53, 6.91, 5, 3.08, 1.46, 0.38 })]
    [InlineData(LearningRateSchedulerType.CosineWithRestarts, 2, new[] { 0.0, 5, 10, 8.53, 5, 1.46, 10, 8.53, 5, 1.46 })]
    [InlineData(LearningRateSchedulerType.Polynomial, 2, new[] { 0.0, 5, 10, 7.656, 5.625, 3.906, 2.5, 1.406, 0.625, 0.156 })]
    [InlineData(LearningRateSchedulerType.InverseSqrt, 2, new[] { 0.0, 5, 10, 8.165, 7.071, 6.325, 5.774, 5.345, 5, 4.714 })]
    public void RatesAreTransformers(LearningRateSchedulerType type, int warmup, double[] expected)
    {
        var schedule = new LearningRateSchedule(type, 10, warmup, 10)
        {
            Cycles = type == LearningRateSchedulerType.CosineWithRestarts ? 2 : null,
            Power = 2,
        };
        for (var step = 0; step < expected.Length; step++) Assert.Equal(expected[step], schedule.Rate(step), 0.01);
    }

    [Theory]
    [InlineData("layers.0.q_proj.weight", false)]
    [InlineData("layers.0.q_proj.miss_block", false)]
    [InlineData("layers.0.q_proj.bias", true)]
    [InlineData("layers.0.input_layernorm.weight", true)]
    [InlineData("model.norm.weight", true)]
    [InlineData("layers.0.self_attn.q_norm.weight", true)]
    [InlineData("layers.0.normal_proj.weight", false)]
    public void WeightDecayLeavesBiasesAndNormsAlone(string name, bool excluded) => Assert.Equal(excluded, ParameterNames.IsExcludedFromWeightDecay(name));
}
