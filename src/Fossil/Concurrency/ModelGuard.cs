using System.Runtime.CompilerServices;
using Fossil.Autograd;
using static TorchSharp.torch;

namespace Fossil.Concurrency;

/// <summary>
/// Lets one thread at a time into a model, because neither a change of adapters nor what a model keeps between calls allows two. The thread that is inside may enter again; others wait.
/// A <see cref="ModelLease"/> keeps the model over several calls. Modules of one tree have one guard, whichever of them asks for it.
/// </summary>
internal sealed class ModelGuard
{
    private static readonly ConditionalWeakTable<nn.Module, ModelGuard> Guards = [];

    // One lock for the state of all guards: it is held for a few instructions, and who is about to wait can see whether others wait in a circle.
    private static readonly object Gate = new();
    private static readonly Dictionary<int, ModelGuard> WaitingThreads = [];

    [ThreadStatic]
    private static ModelGuard? current;

    [ThreadStatic]
    private static ModelGuard? lastEntered;

    [ThreadStatic]
    private static int backwardPasses;

    private readonly AsyncLocal<ModelLease?> leaseOfFlow = new();
    private ModelGuard? mergedInto;
    private ModelLease? lease;
    private int owner;
    private int depth;
    private long lastUse;

    /// <summary>For how long nobody may use a leased model before the lease is taken for forgotten: then who waits gets an error.</summary>
    internal static TimeSpan LeaseIdleLimit { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The guard of the model whose call runs on this thread; null outside of any.</summary>
    public static ModelGuard? Current => current;

    /// <summary>The failures of the model's backward passes.</summary>
    public BackwardFailures Failures { get; } = new();

    private ModelGuard Root
    {
        get
        {
            var guard = this;
            while (guard.mergedInto is { } next) guard = next;
            return guard;
        }
    }

    /// <summary>The guard of <paramref name="model"/> and all modules below it. Where parts of it have guards of their own already, these become one.</summary>
    public static ModelGuard Of(nn.Module model)
    {
        lock (Gate)
        {
            if (Guards.TryGetValue(model, out var known)) return known.Root;
            nn.Module[] modules = [model, .. model.modules()];
            while (true)
            {
                ModelGuard[] parts = [.. modules.Select(module => Guards.TryGetValue(module, out var part) ? part.Root : null).OfType<ModelGuard>().Distinct()];
                if (parts.FirstOrDefault(part => parts.Length > 1 && !part.IsFreeFor(Environment.CurrentManagedThreadId)) is { } busy)
                {
                    busy.Wait();
                    continue;
                }

                var guard = Array.Find(parts, part => part.lease is not null) ?? parts.FirstOrDefault() ?? new();
                foreach (var part in parts) part.mergedInto = part == guard ? null : guard;
                foreach (var module in modules) Guards.AddOrUpdate(module, guard);
                return guard;
            }
        }
    }

    /// <summary>Waits until no other thread is in the model and no other flow has leased it, and keeps others out until the result is disposed, on the same thread.</summary>
    /// <exception cref="AdapterStateException">Waiting would never end: the other thread waits for this one, or the lease is forgotten.</exception>
    public Entry Enter()
    {
        lock (Gate)
        {
            var guard = Root;
            // Autograd may run a backward pass on a thread of its own, for a thread that is inside and waits.
            if (backwardPasses == 0)
            {
                var thread = Environment.CurrentManagedThreadId;
                for (; !guard.IsFreeFor(thread); guard = Root) guard.Wait();
                guard.owner = thread;
                guard.depth++;
            }

            var entry = new Entry(backwardPasses == 0 ? guard : null, current);
            current = lastEntered = guard;
            return entry;
        }
    }

    /// <summary>As <see cref="Enter"/>, before an optimizer changes parameters: not after a failed backward pass.</summary>
    /// <exception cref="AdapterBackwardException">The last backward pass failed.</exception>
    public Entry EnterToStep() => EnterIf(failures => failures.ThrowAndForget());

    /// <summary>As <see cref="Enter"/>, before parameters are saved: not after a failed backward pass, which may have left its marks in them.</summary>
    /// <exception cref="AdapterBackwardException">The last backward pass failed.</exception>
    public Entry EnterToSave() => EnterIf(failures => failures.ThrowBeforeSaving());

    /// <summary>Keeps the model, for the calling async flow and those that it starts, until the result is disposed. The caller is inside.</summary>
    /// <param name="end">What is undone then, inside the guard.</param>
    public IDisposable Lease(Action? end = null)
    {
        lock (Gate)
        {
            var guard = Root;
            var taken = guard.lease ??= new ModelLease();
            taken.Count++;
            guard.leaseOfFlow.Value = taken;
            return new Scope(guard, taken, end);
        }
    }

    /// <summary>Ends all leases: what was leased is gone.</summary>
    public void EndLeases()
    {
        lock (Gate)
        {
            Root.lease = null;
            Monitor.PulseAll(Gate);
        }
    }

    /// <summary>A part of a backward pass, for the model whose forward pass it belongs to: it does not wait.</summary>
    public static BackwardPass Backward(ModelGuard? guard) => new(guard);

    /// <summary>The last guard that was entered on this thread since the last call of this method.</summary>
    public static ModelGuard? TakeLastEntered()
    {
        var guard = lastEntered;
        lastEntered = null;
        return guard;
    }

    private Entry EnterIf(Action<BackwardFailures> check)
    {
        var entry = Enter();
        try
        {
            check(Root.Failures);
            return entry;
        }
        catch
        {
            entry.Dispose();
            throw;
        }
    }

    private bool IsFreeFor(int thread) => owner == thread || (owner == 0 && (lease is null || lease == leaseOfFlow.Value));

    /// <summary>Lets go of <see cref="Gate"/> until something may have changed.</summary>
    private void Wait()
    {
        var thread = Environment.CurrentManagedThreadId;
        for (var guard = this; guard.owner != 0 && WaitingThreads.TryGetValue(guard.owner, out var next);)
        {
            guard = next.Root;
            if (guard.owner == thread)
                throw new AdapterStateException("Two threads are each inside a model and want to use the other's: both would wait for ever. Use the second model outside the first one's call (its onToken, a callback of its training).");
        }

        if (owner == 0 && Environment.TickCount64 - lastUse > LeaseIdleLimit.TotalMilliseconds)
        {
            throw new AdapterStateException(
                $"The model is kept by DisableAdapters(), UseAdapters() or UseExclusively() of another thread or task, and nobody used it for {LeaseIdleLimit.TotalSeconds:0.#} s. Dispose what that call returned, and open it in the method that uses the model: what an async method that it awaits has opened does not count as its own.");
        }

        WaitingThreads.Add(thread, this);
        try
        {
            Monitor.Wait(Gate, LeaseIdleLimit / 4);
        }
        finally
        {
            WaitingThreads.Remove(thread);
        }
    }

    private void Exit()
    {
        lock (Gate)
        {
            if (--depth > 0) return;
            owner = 0;
            lastUse = Environment.TickCount64;
            Monitor.PulseAll(Gate);
        }
    }

    /// <summary>Being inside; disposing leaves.</summary>
    internal readonly struct Entry(ModelGuard? entered, ModelGuard? previous) : IDisposable
    {
        public void Dispose()
        {
            current = previous;
            entered?.Exit();
        }
    }

    /// <summary>Being in a backward pass; disposing leaves.</summary>
    internal readonly struct BackwardPass : IDisposable
    {
        private readonly ModelGuard? previous;

        public BackwardPass(ModelGuard? guard)
        {
            previous = current;
            current = guard;
            backwardPasses++;
        }

        public void Dispose()
        {
            backwardPasses--;
            current = previous;
        }
    }

    /// <summary>Keeps the model over several calls. An async flow goes on on other threads, so this belongs to the flow that opened it, and any thread may dispose it.</summary>
    private sealed class ModelLease
    {
        /// <summary>How many scopes keep it.</summary>
        public int Count { get; set; }
    }

    private sealed class Scope(ModelGuard guard, ModelLease taken, Action? end) : IDisposable
    {
        private int isDisposed;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref isDisposed, 1) == 1) return;
            // Whoever closes it acts for the flow that opened it.
            var mine = guard.leaseOfFlow.Value;
            guard.leaseOfFlow.Value = taken;
            try
            {
                using (guard.Enter()) end?.Invoke();
            }
            finally
            {
                lock (Gate)
                {
                    var isLast = --taken.Count == 0;
                    if (isLast && guard.lease == taken) guard.lease = null;
                    guard.leaseOfFlow.Value = isLast && mine == taken ? null : mine;
                    Monitor.PulseAll(Gate);
                }
            }
        }
    }
}
