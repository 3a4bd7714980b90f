namespace Fossil.Distributed.Tests;

/// <summary>The scenarios by their names.</summary>
internal static class Scenarios
{
    public static Action<RankResults, string[]> Find(string name) => name switch
    {
        nameof(BasicScenario) => BasicScenario.Run,
        nameof(AgreementScenario) => AgreementScenario.Run,
        nameof(LoopScenario) => LoopScenario.Run,
        nameof(LongRunScenario) => LongRunScenario.Run,
        nameof(ResumeScenario) => ResumeScenario.Run,
        nameof(TrainingScenario) => TrainingScenario.Run,
        _ => throw new ArgumentException($"There is no scenario {name}."),
    };
}
