using static TorchSharp.torch;

namespace Fossil.Training;

/// <summary>The state of libtorch's random numbers on the CPU, as it was found; disposing puts it back.</summary>
internal sealed class RandomState : IDisposable
{
    private readonly Tensor found = random.get_rng_state().DetachFromDisposeScope();

    private RandomState()
    {
    }

    /// <summary>Remembers the state, and changes nothing.</summary>
    public static RandomState Keep() => new();

    /// <summary>Puts the state back.</summary>
    public void Dispose()
    {
        random.set_rng_state(found);
        found.Dispose();
    }
}
