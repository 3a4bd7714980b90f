using TorchSharp.Modules;

namespace Fossil.Autograd;

/// <summary>Is told during a backward pass which parameters have their gradients.</summary>
internal interface IGradientObserver
{
    /// <summary>The number of a parameter; negative where nobody asks for its gradient.</summary>
    int NumberOf(Parameter parameter);

    /// <summary>A call that used these parameters has been gone through, and their gradients of that call are where libtorch adds them up.</summary>
    void OnGradients(int[] parameters);

    /// <summary>The pass has ended; the gradients of the last calls are told after this.</summary>
    void OnEnd();
}

/// <summary>
/// Tells an observer of a backward pass which adapted layers it has gone through. libtorch adds up a layer's gradients before it goes on with the next: so those of a layer are there when the next one's pass begins.
/// </summary>
/// <param name="observer">The observer.</param>
internal sealed class GradientProgress(IGradientObserver observer) : IDisposable
{
    [ThreadStatic]
    private static GradientProgress? current;

    private readonly GradientProgress? before = current;
    private int[] last = [];

    /// <summary>That of the forward and backward pass on this thread; null where nobody observes it.</summary>
    public static GradientProgress? Current => current;

    /// <summary>Observes the forward and backward pass on this thread until the result is disposed.</summary>
    public static GradientProgress Observe(IGradientObserver observer) => current = new(observer);

    /// <summary>The numbers of the parameters among what a call wants gradients for.</summary>
    public int[] NumbersOf(IEnumerable<CallInput> inputs) =>
        [.. inputs.Where(input => input.NeedsGradient).Select(input => input.Optional).OfType<Parameter>().Select(observer.NumberOf).Where(number => number >= 0)];

    /// <summary>The backward pass of a call begins.</summary>
    /// <param name="parameters">What <see cref="NumbersOf"/> gave in its forward pass.</param>
    public void Advance(int[] parameters)
    {
        observer.OnGradients(last);
        last = parameters;
    }

    /// <summary>The backward pass is over.</summary>
    public void Dispose()
    {
        current = before;
        observer.OnEnd();
        observer.OnGradients(last);
    }
}
