namespace Fossil.Tests.Training;

/// <summary>Tests that compare runs draw from libtorch's one generator of the process, so nothing else may run beside them.</summary>
[CollectionDefinition(Collection, DisableParallelization = true)]
public static class TorchRandomNumbers
{
    public const string Collection = "torch random numbers";
}
