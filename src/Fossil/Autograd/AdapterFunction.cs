using Fossil.Concurrency;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace Fossil.Autograd;

/// <summary>The one custom autograd function: it runs an <see cref="AdapterCall"/> and absorbs what TorchSharp's custom functions leave to their authors.</summary>
internal sealed class AdapterFunction : SingleTensorFunction<AdapterFunction>
{
    private const string CallKey = "call";

    // Native code reads the returned gradients after backward has returned, so the managed references live until the next pass on this thread.
    [ThreadStatic]
    private static List<Tensor>? returned;

    public override string Name => nameof(AdapterFunction);

    /// <summary>The output of <paramref name="call"/>, connected to the graph where a gradient is wanted.</summary>
    public static Tensor Run(AdapterCall call)
    {
        ReleaseReturned();
        (call.Guard, call.Failures) = (ModelGuard.Current, BackwardFailures.Current);
        try
        {
            call.Begin();
            // What computes no gradient, such as another thread's text, has nothing to do with a failed step of training.
            if (call.IsRecorded) call.Failures.ThrowAndForget();
            return call.IsRecorded ? Record(call) : Compute(call);
        }
        finally
        {
            call.Release();
        }
    }

    /// <inheritdoc/>
    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var recording = (Recording)vars[0];
        recording.Context = ctx;
        // A missing gradient would be replaced by zeros of the output's size, for which TorchSharp keeps a tensor of that size.
        ctx.set_materialize_grads(false);
        ctx.save_data(CallKey, recording.Call);
        recording.Output = Compute(recording.Call);
        ctx.save_for_backward([.. recording.Call.Saved!]);
        return recording.Output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        ReleaseReturned();
        var call = (AdapterCall)ctx.get_data(CallKey);
        call.Progress?.Advance(call.Observed);
        var gradients = new Tensor?[call.Inputs.Count];
        if (grad_output is { IsInvalid: false })
        {
            using (grad_output) gradients = Gradients(ctx, call, grad_output);
        }

        (returned ??= []).AddRange(gradients.OfType<Tensor>());
        return [null!, .. gradients.Select(gradient => gradient!)];
    }

    private static Tensor?[] Gradients(AutogradContext ctx, AdapterCall call, Tensor gradOutput)
    {
        using var pass = ModelGuard.Backward(call.Guard);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor?[] gradients = [];
        // Behind a call that failed, the pass goes through the rest of the model without effect.
        if (!call.Failures.IsPending)
        {
            try
            {
                gradients = call.Gradients(gradOutput, ctx.get_saved_variables());
            }
            catch (Exception exception)
            {
                // An exception must not cross the native frames of the backward pass: it would end the process.
                call.Failures.Report(exception);
            }
        }

        if (call.Failures.IsPending) gradients = [.. call.Inputs.Select(input => input.FailedGradient())];
        foreach (var gradient in gradients) gradient?.DetachFromDisposeScope();
        return gradients;
    }

    private static Tensor Record(AdapterCall call)
    {
        foreach (var input in call.Inputs) input.Describe();
        var recording = new Recording(call);
        try
        {
            var output = apply([recording, .. call.Inputs.Select(input => (object)input.Optional!)]);
            OutputCache.Drop(recording.Context!);
            return output;
        }
        finally
        {
            recording.Output?.Dispose();
        }
    }

    private static Tensor Compute(AdapterCall call)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return call.Forward().MoveToOuterDisposeScope();
    }

    private static void ReleaseReturned()
    {
        if (returned is not { Count: > 0 } list) return;
        foreach (var gradient in list) gradient.Dispose();
        list.Clear();
    }

    private sealed class Recording(AdapterCall call)
    {
        public AdapterCall Call { get; } = call;

        public AutogradContext? Context { get; set; }

        public Tensor? Output { get; set; }
    }
}
