using Fossil.Concurrency;
using static TorchSharp.torch;

namespace Fossil.Autograd;

/// <summary>Runs an <see cref="AdapterCall"/>: its forward pass now, its backward pass from libtorch's graph.</summary>
internal static class AdapterFunction
{
    // Native code reads the returned gradients after the backward pass has returned, so the managed references live until the next pass on this thread.
    [ThreadStatic]
    private static List<Tensor>? returned;

    /// <summary>The output of <paramref name="call"/>, connected to the graph where a gradient is wanted.</summary>
    public static Tensor Run(AdapterCall call) => RunAll(call)[0];

    /// <summary>As <see cref="Run"/>, of a call with several outputs.</summary>
    public static Tensor[] RunAll(AdapterCall call)
    {
        ReleaseReturned();
        (call.Guard, call.Failures) = (ModelGuard.Current, BackwardFailures.Current);
        try
        {
            call.Begin();
            if (!call.IsRecorded) return Compute(call);

            // What computes no gradient, such as another thread's text, has nothing to do with a failed step of training.
            call.Failures.ThrowAndForget();
            foreach (var input in call.Inputs) input.Describe();
            var outputs = Compute(call);
            try
            {
                return AutogradNode.Connect(call, outputs);
            }
            finally
            {
                foreach (var output in outputs) output.Dispose();
            }
        }
        finally
        {
            call.Release();
        }
    }

    /// <summary>The backward pass of <paramref name="call"/>. Nothing may be thrown here: it would cross the native frames of the pass and end the process.</summary>
    /// <param name="call">The call.</param>
    /// <param name="outputGradients">Handles of the outputs' gradients, which become this pass's own; 0 for none.</param>
    /// <param name="saved">What the forward pass saved.</param>
    /// <param name="gradients">Where the handles of the gradients go, those of the inputs that need one; 0 for none.</param>
    /// <returns>How many these are.</returns>
    internal static int Backward(AdapterCall call, ReadOnlySpan<nint> outputGradients, Func<Tensor?[]> saved, Span<nint> gradients)
    {
        ReleaseReturned();
        call.Progress?.Advance(call.Observed);
        using var pass = ModelGuard.Backward(call.Guard);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var given = new Tensor?[outputGradients.Length];
        for (var i = 0; i < given.Length; i++) given[i] = outputGradients[i] == 0 ? null : Tensor.UnsafeCreateTensor(outputGradients[i]);
        Tensor?[]? results = null;

        // Behind a call that failed, the pass goes through the rest of the model without effect.
        if (!call.Failures.IsPending && Array.Exists(given, gradient => gradient is not null))
        {
            try
            {
                results = call.Gradients(given, saved());
            }
            catch (Exception exception)
            {
                call.Failures.Report(exception);
            }
        }

        var count = 0;
        for (var i = 0; i < call.Inputs.Count; i++)
        {
            if (!call.Inputs[i].NeedsGradient) continue;
            var gradient = call.Failures.IsPending ? call.Inputs[i].FailedGradient() : results?[i];
            gradients[count++] = gradient?.Handle ?? 0;
            if (gradient is not null) (returned ??= []).Add(gradient.DetachFromDisposeScope());
        }

        return count;
    }

    private static Tensor[] Compute(AdapterCall call)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var outputs = call.ForwardAll();
        foreach (var output in outputs) output.MoveToOuterDisposeScope();
        return outputs;
    }

    private static void ReleaseReturned()
    {
        if (returned is not { Count: > 0 } list) return;
        foreach (var gradient in list) gradient.Dispose();
        list.Clear();
    }
}
