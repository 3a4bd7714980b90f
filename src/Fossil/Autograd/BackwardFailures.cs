using Fossil.Concurrency;

namespace Fossil.Autograd;

/// <summary>
/// What went wrong in the backward passes of one model. Nothing may be thrown there, so it is remembered, and thrown by the model's next step of training: before its next forward pass
/// that records a gradient, before the optimizer changes a parameter, before an adapter is saved.
/// </summary>
internal sealed class BackwardFailures
{
    [ThreadStatic]
    private static BackwardFailures? ofThread;

    private Exception? cause;

    /// <summary>Those of the model whose call runs on this thread; outside of any model the thread's own.</summary>
    public static BackwardFailures Current => ModelGuard.Current?.Failures ?? OfThread;

    /// <summary>Those of calls outside of any model on this thread.</summary>
    public static BackwardFailures OfThread => ofThread ??= new();

    /// <summary>Whether a failure waits to be thrown.</summary>
    public bool IsPending => Volatile.Read(ref cause) is not null;

    /// <summary>Remembers a failure; the first one is the cause of the others.</summary>
    public void Report(Exception exception) => Interlocked.CompareExchange(ref cause, exception, null);

    /// <summary>Throws the failure that is remembered, if there is one. The step of training that it belongs to is over with that.</summary>
    /// <exception cref="AdapterBackwardException">A backward pass failed.</exception>
    public void ThrowAndForget()
    {
        if (IsPending && Interlocked.Exchange(ref cause, null) is { } failure) throw Describe(failure, "Drop that step.");
    }

    /// <summary>Throws the failure that is remembered, and goes on remembering it: another optimizer may have taken the step already.</summary>
    /// <exception cref="AdapterBackwardException">A backward pass failed.</exception>
    public void ThrowBeforeSaving()
    {
        if (Volatile.Read(ref cause) is { } failure) throw Describe(failure, "Nothing was saved: an optimizer may have taken a step with what was left of the gradients. Drop that step, or go back to the last checkpoint.");
    }

    private static AdapterBackwardException Describe(Exception failure, string advice) => new(
        $"The last backward pass of an adapted layer failed, so that gradients are missing: {failure.Message} {advice} The usual cause is an input, weight or adapter that was changed between forward and backward.", failure);
}
